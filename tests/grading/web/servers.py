"""Starting a server process, as a user does."""

import subprocess
import sys
from contextlib import contextmanager

from processes import heeding_signals


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
