"""Processes for tests: their signals, and the server as a user starts it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
