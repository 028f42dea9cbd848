"""Limits on client connections: silent ones end, and one client cannot take all."""

import asyncio

import h11
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from knee_attention.grading.web.same_origin import HEADERS

CONNECTIONS = 64
"""The most connections at once; further ones get status 503."""

CONNECTIONS_A_CLIENT = 32
"""The most connections of one address."""

HEAD_SECONDS = 10
"""Seconds within which the head of a request must arrive."""

END_SECONDS = 120
"""Seconds that a client has to read the last answer, and to finish a request that is answered
early."""

BUSY = JSONResponse(
    {"error": f"this client has {CONNECTIONS_A_CLIENT} connections in use; try again later"},
    503, {**HEADERS, "retry-after": "5"},
)  # fmt: skip


class Connection(H11Protocol):
    """A uvicorn connection that ends when it stays silent.

    uvicorn itself waits for the first request without a time limit, and refuses every new client
    once too many connections are open. Here, the longest waiting connection is closed instead.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._wait(HEAD_SECONDS)
        open_ = [one for one in self.connections if not one.transport.is_closing()]
        of_client = [one for one in open_ if one.address == self.address]
        too_many = len(of_client) > CONNECTIONS_A_CLIENT
        if not too_many and len(open_) < CONNECTIONS:
            return
        crowd = of_client if too_many else open_
        waiting = [one for one in crowd if one is not self and one.waits]
        if waiting:
            min(waiting, key=lambda one: one.since).end()
        elif too_many:
            self.app = BUSY

    @property
    def address(self) -> str | None:
        """The client's address; None if the client is gone."""
        return self.client[0] if self.client else None

    @property
    def waits(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self.end)

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.waits:
            self._cancel_deadline()
        elif self._deadline is None:  # uvicorn stops its own timer at the first byte
            unfinished = self.conn.their_state is h11.SEND_BODY
            self._wait(END_SECONDS if unfinished else HEAD_SECONDS)

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, error: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(error)

    def end(self) -> None:
        """Close a waiting connection."""
        self._cancel_deadline()
        self.timeout_keep_alive_handler()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # uvicorn waits without a time limit until the client has read the last answer.
        self.loop.call_later(END_SECONDS, self.transport.abort)
