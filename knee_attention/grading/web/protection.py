"""Protection of the server: against other web pages, silent clients, and a client that takes all
connections.
"""

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every answer: the page loads nothing from other hosts, cannot be framed by another
page, and no film stays in a cache."""


class Guard:
    """ASGI middleware that refuses requests from other sites, and adds `HEADERS` to every answer.

    Any web page can make the browser send requests to a server on the same machine. The Origin
    header shows such a request. If the page's host name resolves to this machine (DNS rebinding),
    the Host header shows it.

    Args:
        app: the application that answers.
        names: host names that clients may use besides the address of the connection.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()):
        self.app = app
        self.names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        answer = JSONResponse({"error": refusal[1]}, refusal[0]) if refusal else self.app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence for a refused request; None for an accepted one."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own_name(_host_name(host), scope["server"][0]):
            return 421, f"this server does not accept the host name {host[:80]!r}; see --name"
        sender = headers.get("origin", f"http://{host}").partition("://")[2].lower()
        foreign = sender != host.lower() and _host_name(sender) not in self.names
        fetched_from = headers.get("sec-fetch-site") if scope["method"] == "POST" else None
        if foreign or fetched_from in ("cross-site", "same-site"):
            return 403, "a page of another site sent this request"
        return None

    def _is_own_name(self, name: str, address: str) -> bool:
        if name in self.names or name == address:
            return True
        return name == "localhost" and ip_address(address).is_loopback


def _host_name(host: str) -> str:
    """The name in a Host header without port and brackets; blank if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


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
