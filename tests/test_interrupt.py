"""Process state: signals end a command with one word, and loading in threads changes nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from processes import ENDING, heeding_signals

from knee_attention import load_grader
from knee_attention.networks.files.model_files import save_model
from knee_attention.networks.model import build_model
from knee_attention.startup import command_line

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


TERMINATED = """
import signal
from knee_attention import startup
with startup.command_line("command"):
    try:
        {}
        signal.pause()
    finally:
        signal.raise_signal(signal.SIGTERM)
        print("tidied up")
"""


@pytest.mark.parametrize("when", ["at work", "in a package that swallows it"])
def test_sigterm_ends_a_command_as_ctrl_c_does(tmp_path, when):
    (tmp_path / "keras.py").write_text(SWALLOWED.replace("SIGINT", "SIGTERM"))
    step = "signal.raise_signal(signal.SIGTERM)" if when == "at work" else "startup.start_keras()"
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = subprocess.run([sys.executable, "-c", TERMINATED.format(step)], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": paths})  # fmt: skip
    assert (done.returncode, done.stderr) == (143, "command: terminated\n")
    assert done.stdout == "tidied up\n"


def test_the_advice_to_resume_leaves_out_what_would_start_again(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["training", "--overwrite"])
    with pytest.raises(SystemExit), command_line("training", resumable=True):
        raise KeyboardInterrupt
    said = "training: interrupted; run the same command without --overwrite to resume\n"
    assert capsys.readouterr().err == said


HELD = """
import hashlib, sys
from knee_attention.startup import command_line
with command_line("training", resumable=True):
    print("at work", flush=True)
    {}
"""


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
@pytest.mark.parametrize("work", [
    "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",  # returns after an hour
    "while True: pass",
], ids=["native", "Python"])  # fmt: skip
def test_a_training_ends_within_seconds_and_says_how_it_continues(number, work):
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with heeding_signals():
        training = subprocess.Popen([sys.executable, "-c", HELD.format(work)], env=paths, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert training.stdout.readline() == "at work\n"
    training.send_signal(number)
    try:
        _, said = training.communicate(timeout=30)
    finally:
        training.kill()
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert said == f"training: {word}; run the same command to resume\n"
    assert training.returncode == 128 + number


PARENT = """
import sys
from pathlib import Path
from knee_attention.runs.sweeps.cells import run_by_workers
from knee_attention.runs.sweeps.status import Status
from knee_attention.startup import command_line

class Queue:
    cells = ["cell"]

    def status(self):
        return Status(waiting=["cell"])

with command_line("parent"):
    run_by_workers(Queue(), [sys.executable, "-c", sys.argv[2], sys.argv[1]], 2, Path(sys.argv[1]))
"""

WORKER = """
import os, sys, time
from pathlib import Path
from knee_attention.startup import command_line

with command_line("worker"):
    Path(sys.argv[1], f"{os.getpid()}.begun").touch()
    time.sleep(120)
"""


@pytest.mark.parametrize("ignored", [False, True], ids=["", "where Ctrl-C is ignored"])
def test_sigterm_ends_the_workers_of_a_command(tmp_path, ignored):
    def start():
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)

    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), WORKER], env=paths,
                              stderr=subprocess.PIPE, text=True, preexec_fn=start)  # fmt: skip
    end = time.monotonic() + 60
    while len(begun := list(tmp_path.glob("*.begun"))) < 2:
        assert time.monotonic() < end and parent.poll() is None
        time.sleep(0.05)
    workers = [int(path.stem) for path in begun]
    parent.terminate()
    try:
        assert parent.wait(30) == 143 and "terminated" in parent.stderr.read()
        assert not [worker for worker in workers if is_running(worker)]
        logs = [path.read_text() for path in tmp_path.glob("worker*.log")]
        assert logs == ["worker: terminated\n"] * 2
    finally:
        for process in filter(is_running, [parent.pid, *workers]):
            os.kill(process, signal.SIGKILL)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


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


PROGRAM = Path(__file__).with_name("loading_in_a_thread.py")


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A saved model whose precision differs from the global one."""
    path = tmp_path_factory.mktemp("model") / "model.h5"
    built = build_model(
        "antony_clsf", ("att1",), "single", (96, 96), precision="mixed_bfloat16"
    )
    save_model(built, path, {"name": "small"})
    return path


def test_a_grader_that_loads_in_a_thread_takes_nothing_from_the_others(saved_model):
    done = subprocess.run([sys.executable, PROGRAM, saved_model], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    told = json.loads(done.stdout)
    before, first, second = told["states"]
    assert told["seen"] == [before["descriptors"][2]]
    for kept in ("descriptors", "handlers", "levels", "signals"):
        assert before[kept] == first[kept] == second[kept], kept
    # Newly imported libraries add warning filters of their own, and remove none.
    assert [entry for entry in first["filters"] if entry in before["filters"]] == before["filters"]
    assert first["filters"] == second["filters"]
    assert first["policy"] == second["policy"] == "float32"
    lines = map(int, re.findall(r"line (\d+) of another thread", done.stderr))
    assert sorted(lines) == list(range(told["written"])) and told["written"] > 20


def test_several_threads_load_and_grade_as_one_does(saved_model):
    knee = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)

    def graded(_):
        return load_grader(saved_model).grade(knee, "single")[0].probabilities

    expected = graded(0)
    with ThreadPoolExecutor(4) as pool:
        for probabilities in pool.map(graded, range(8)):
            np.testing.assert_allclose(probabilities, expected, atol=1e-6)
