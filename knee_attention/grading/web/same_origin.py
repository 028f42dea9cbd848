"""Requests that other pages and names send to a server on a desk are refused before anything else
looks at them; every answer tells the browser to load nothing from elsewhere.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of every answer: the page asks nobody else, is framed by nobody, and no film stays in a cache."""


class Guard:
    """Refuses requests that another site had a browser make, and marks every answer.

    A page anywhere can have a browser ask a server on the same desk. It is known by its Origin, or,
    where its own name was made to lead here (DNS rebinding), by the name in Host.

    Args:
        app: what answers.
        names: names by which this server may be called besides the address that a request came to.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()):
        self.app = app
        self.names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        answer = JSONResponse({"error": refusal[1]}, refusal[0]) if refusal else self.app
        await answer(scope, receive, marked)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence, or None for a request that may pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_here(_host_name(host), scope["server"][0]):
            return 421, f"this server is not called {host[:80]!r}; see --name"
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
        fetched_from = headers.get("sec-fetch-site") if scope["method"] == "POST" else None
        if foreign or fetched_from in ("cross-site", "same-site"):
            return 403, "another site's page asked for this"
        return None

    def _is_here(self, name: str, address: str) -> bool:
        if name in self.names or name == address:
            return True
        return name == "localhost" and ip_address(address).is_loopback


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; blank where it holds none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
