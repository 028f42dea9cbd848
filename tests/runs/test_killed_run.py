"""A killed run resumes with the same command."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from small_experiment import SMALL, results_of, run

COMMAND = """
import sys
from quick_trainings import run_eagerly
from small_experiment import SMALL, run

with run_eagerly():
    run(SMALL, *sys.argv[1:])
"""
pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


def test_a_killed_run_continues_and_ends_as_an_unbroken_one(tmp_path):
    folder = tmp_path / "killed"
    options = ("--limit", "10", "--augment", "strong")
    command = [sys.executable, "-c", COMMAND, "--output", folder, "--epochs", "40", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while not (folder / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(pd.read_csv(folder / "history.csv"))
    assert 0 < done < 40 and not (folder / "results.json").exists()
    # The killed run gets the number of epochs that the whole run has.
    described = json.loads((folder / "experiment.json").read_text())
    epochs = done + 1
    described["epochs"] = epochs
    (folder / "experiment.json").write_text(json.dumps(described))
    for run_folder in (folder, tmp_path / "whole"):
        run(SMALL, "--output", run_folder, "--epochs", epochs, *options)
    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == list(range(1, epochs + 1))
    whole = pd.read_csv(tmp_path / "whole" / "history.csv")
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), whole.drop(columns="seconds"))
    assert results_of(folder) == results_of(tmp_path / "whole")
    times = json.loads((folder / "environment.json").read_text())
    assert times["wall_seconds"] > times["training_seconds"]
