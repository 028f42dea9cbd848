"""Processes for tests: their signals, the server as a user starts it, and workers of the queue."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENDING = (signal.SIGINT, signal.SIGTERM)


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


WORKER = """
import sys, time
from pathlib import Path
from knee_attention.runs.sweeps.queue import Queue

storage, folder, cells, seconds, grace = sys.argv[1:]

def do(cell):
    Path(folder, f"{cell}.begun").touch()
    time.sleep(float(seconds))
    with open(Path(folder, "done.txt"), "a") as file:
        file.write(cell + "\\n")
    return 1.0

Queue(storage, "table", {"size": 1}, cells.split(","), 1, int(grace)).work(do)
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
