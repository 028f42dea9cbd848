"""Start and end of the server: socket, model and uvicorn."""

import socket
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from knee_attention.errors import InputError, how_to_install, missing_raises

if TYPE_CHECKING:
    from knee_attention.grading.grader import Grader

SECONDS_TO_END = 10
"""Seconds after Ctrl-C in which films in progress are finished."""


def serve(
    load: Callable[[], "Grader"],
    host: str,
    port: int,
    names: Iterable[str],
    most_bytes: int,
) -> None:
    """Serve the page and the API until Ctrl-C.

    Args:
        load: loads the grader. The address is printed after that.
        host: the address to listen on. Any other than this machine's loopback gives a warning.
        port: the port; 0 takes a free one, which is printed.
        names: host names that clients may use besides the server's address.
        most_bytes: larger films are refused during the upload.

    Raises:
        InputError: Starlette or uvicorn is not installed, the port cannot be opened, or the model
            cannot be loaded.
    """
    not_installed = InputError("the server needs Starlette and uvicorn: "
                               + how_to_install("serve"))
    with missing_raises(not_installed, "uvicorn", "starlette", "anyio"):
        import uvicorn

        from knee_attention.grading.web.app import application
        from knee_attention.grading.web.protection import CONNECTIONS, Connection
    with _listening(host, port) as listening:
        grader = load()
        _print_address(*listening.getsockname()[:2])
        app = application(grader, names, most_bytes)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,  # a line would hold the file name, which may name a patient
                server_header=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=SECONDS_TO_END,
            )
        )
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except (OSError, OverflowError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"port {port} of {host} cannot be opened: {reason}") from None


def _print_address(address: str, port: int) -> None:
    shown = f"[{address}]" if ":" in address else address
    if ip_address(address).is_unspecified:  # all addresses of this machine; none can be opened
        shown = "[::1]" if ":" in address else "127.0.0.1"
    print(f"http://{shown}:{port} (Ctrl-C stops it)", flush=True)
    if not ip_address(address).is_loopback:
        print("warning: other machines can use this server without a password or encryption; "
              "use a proxy that adds both", file=sys.stderr, flush=True)
