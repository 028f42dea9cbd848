"""Ctrl-C ends a command with a word, however early it comes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ENDING, heeding_signals

SWALLOWED = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    pass
"""


@pytest.mark.parametrize("early", ["in a package that swallows it", "reading the command line"])
def test_an_interrupt_before_the_work_begins(tmp_path, early):
    if early.startswith("in a package"):
        (tmp_path / "keras.py").write_text(SWALLOWED)
        start = "from knee_attention.commands.cli import main; main()"
    else:
        start = (
            "import importlib, signal; from knee_attention.commands import cli;"
            "cli.importlib = type('', (), {'import_module': lambda *_: signal.raise_signal(2)});"
            "cli.main()"
        )
    (tmp_path / "model.h5").write_bytes(b"model")
    (tmp_path / "film.png").write_bytes(b"film")
    command = [sys.executable, "-c", start, "grade", "film.png", "--model", "model.h5"]
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    with heeding_signals():
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": paths})  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip().endswith("interrupted") and "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ENDING)
def test_processes_heed_signals_although_pytest_was_started_to_ignore_them(number):
    command = [sys.executable, "-c", f"import signal; signal.raise_signal({int(number)})"]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
        with heeding_signals():
            assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == -number
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
