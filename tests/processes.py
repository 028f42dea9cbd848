"""Processes for tests: signals, ports, the server and its client, and workers of the queue."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

ENDING = (signal.SIGINT, signal.SIGTERM)
HELD_PORTS = []


def free_port() -> int:
    """A free port on the loopback address; until this process ends, no other call returns it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))  # not listening, so a server with SO_REUSEADDR can open it
    HELD_PORTS.append(held)
    return held.getsockname()[1]


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Processes that start in the block react to SIGINT and SIGTERM.

    A process inherits the ignored signals, and a shell starts `pytest &` with SIGINT ignored.
    """
    ignored = [number for number in ENDING if signal.getsignal(number) is signal.SIG_IGN]
    try:
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def serving(*arguments):
    """Start a server process; yields the process and its address."""
    command = [sys.executable, "-m", "knee_attention", "serve", *map(str, arguments)]
    with heeding_signals():
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
    try:
        yield process, process.stdout.readline().partition(" ")[0].removeprefix("http://")
    finally:
        process.kill()
        process.communicate()


def asked(address: str | tuple[str, int], method: str, path: str, body=None, **headers):
    """A server's answer to a request.

    Args:
        address: host and port, as `host:port` or as a pair.
        method, path, body: the request.
        headers: with `_` in place of `-`.

    Returns:
        The status, the content, read as JSON if it is JSON, and the headers.
    """
    place = (address,) if isinstance(address, str) else address
    connection = HTTPConnection(*place, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content, named = answer.read(), dict(answer.getheaders())
        is_json = named.get("content-type") == "application/json"
        return answer.status, json.loads(content) if is_json else content, named
    finally:
        connection.close()


WORKER = """
import sys, time
from pathlib import Path
from knee_attention.runs.sweeps import queue

storage, folder, cells, seconds, grace = sys.argv[1:]

def do(cell):
    Path(folder, f"{cell}.begun").touch()
    time.sleep(float(seconds))
    with open(Path(folder, "done.txt"), "a") as file:
        file.write(cell + "\\n")
    return 1.0

queue.HEARTBEAT, queue.GRACE = 1, int(grace)
queue.Queue(storage, "table", {"size": 1}, cells.split(",")).work(do)
"""


def start_worker(
    storage: str, folder: Path, cells: list[str], seconds: float, grace: int = 8,
    working_directory: Path | None = None,
) -> subprocess.Popen:  # fmt: skip
    """A worker that needs `seconds` for a cell and counts as dead after `grace` silent seconds."""
    command = [sys.executable, "-c", WORKER, storage, folder, ",".join(cells), seconds, grace]
    return subprocess.Popen(list(map(str, command)), cwd=working_directory)


def wait_for_a_cell(folder: Path) -> None:
    """Wait until a worker has started a cell."""
    while not list(folder.glob("*.begun")):
        time.sleep(0.02)


def done(folder: Path) -> Counter:
    """`{cell: number of times that workers finished it}`."""
    return Counter((folder / "done.txt").read_text().split())
