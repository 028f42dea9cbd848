"""Connections of clients: silent ones are ended, and no client may take them all."""

import asyncio

import h11
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from knee_attention.grading.web.same_origin import HEADERS

CONNECTIONS = 64
"""At most so many at once; more are told to come again."""

CONNECTIONS_A_CLIENT = 32
"""Of one address."""

HEAD_SECONDS = 10
"""In which the head of a request has to arrive."""

END_SECONDS = 120
"""In which a client has to be done with a request that was answered before all of it came, and to
read the last answer."""

BUSY = JSONResponse(
    {"error": f"{CONNECTIONS_A_CLIENT} connections of this client are at work; ask again later"},
    503, {**HEADERS, "retry-after": "5"},
)  # fmt: skip


class Connection(H11Protocol):
    """A connection of uvicorn that ends when it stays silent.

    uvicorn waits for the first request without end, counts such connections, and refuses every
    further client once there are too many. Here the one that has waited longest makes room.
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
        """The client's address, unless it is gone already."""
        return self.client[0] if self.client else None

    @property
    def waits(self) -> bool:
        """Whether no request is under way."""
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
        elif self._deadline is None:  # uvicorn's own time limit ends with the first byte
            unfinished = self.conn.their_state is h11.SEND_BODY
            self._wait(END_SECONDS if unfinished else HEAD_SECONDS)

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, error: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(error)

    def end(self) -> None:
        """End a connection that waits."""
        self._cancel_deadline()
        self.timeout_keep_alive_handler()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # uvicorn waits without end for the client to read its last answer.
        self.loop.call_later(END_SECONDS, self.transport.abort)
