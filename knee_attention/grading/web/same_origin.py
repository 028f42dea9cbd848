"""Protection of a local server against other web pages: origin and host checks, and headers."""

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
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
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
