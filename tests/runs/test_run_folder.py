"""The files of a run's folder, with unusual names, after failures, and after a killed run."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from small_trainings import SMALL, results_of, run

from knee_attention.commands.scripts.experiment import main
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import InputError
from knee_attention.evidence.predictions import read_predictions
from knee_attention.files import read_json, write_json
from knee_attention.runs import folder_lock
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.folder_lock import locked
from knee_attention.runs.output_folder import can_continue, refuse_collision
from knee_attention.runs.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")

QUICK = Experiment(
    backbone="antony_clsf", image_size=(96, 96), epochs=1, batch_size=10, precision="float32"
)
ROW = {
    "epoch": 1, "seconds": 1.0, "val_loss": 1.0, "att0_loss": 1.0, "att0_accuracy": 0.2,
    "val_att0_loss": 1.0, "val_att0_accuracy": 0.2,
}  # fmt: skip


@pytest.fixture
def oddly_named(knee_folder):
    """A data folder named like a formula, a file name that is not UTF-8, and a person called NA."""
    odd = os.fsdecode(b"test0\xff_R.png")
    (knee_folder / "test" / "0" / "test00R.png").rename(knee_folder / "test" / "0" / odd)
    with open(knee_folder / "manifest.csv", "w", newline="", errors="surrogateescape") as file:
        csv.writer(file).writerows([
            ("file", "subject"), (f"test/0/{odd}", "NA"), ("test/1/test10R.png", "null"),
        ])  # fmt: skip
    (knee_folder / "train" / "1" / os.fsdecode(b"damaged\xfe.png")).write_bytes(b"")
    return knee_folder.rename(knee_folder.with_name("knees_$1_$2_" + os.fsdecode(b"\xff")))


def test_any_name_is_read_and_written_as_it_is(oddly_named, tmp_path):
    folder = tmp_path / "run"
    main(QUICK, ["--data", str(oddly_named), "--output", str(folder)])
    assert (folder / "results.json").exists()
    assert read_json(folder / "experiment.json")["data"] == str(oddly_named)
    knees = load_dataset(oddly_named, (96, 96), wanted=("test",)).splits["test"]
    predictions = read_predictions(folder / "predictions.csv")
    assert os.fsdecode(b"test/0/test0\xff_R.png") in knees.files
    assert predictions.files == knees.files
    assert predictions.subjects == knees.subjects and {"NA", "null"} <= set(knees.subjects)
    unreadable = (folder / "unreadable.csv").read_bytes()
    assert b"damaged\xfe.png,the file is empty" in unreadable


def test_the_model_is_saved_before_anything_is_drawn(knee_folder, tmp_path):
    from knee_attention.networks.model import build_model
    from knee_attention.runs.finishing import finish

    (tmp_path / "figures").write_text("")
    experiment = dataclasses.replace(QUICK, data=str(knee_folder))
    dataset = load_dataset(knee_folder, (96, 96))
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    with pytest.raises(InputError, match="figures cannot be written"):
        finish(experiment, model, dataset, [ROW], RunFolder(tmp_path))
    assert (tmp_path / "model.h5").exists() and (tmp_path / "predictions.csv").exists()


def test_one_process_at_a_time_works_in_a_folder(tmp_path, refused):
    folder = tmp_path / "run"
    with RunFolder(folder).locked():
        said = refused(main, QUICK, ["--output", str(folder)])
        assert f"process {os.getpid()} is working there" in said
    assert not folder.exists()


def test_a_dead_process_holds_no_claim_and_leaves_no_remains(tmp_path):
    folder = tmp_path / "run"
    die = "with locked(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    imports = "import os, signal, sys; from pathlib import Path; "
    imports += "from knee_attention.runs.folder_lock import locked\n"
    assert subprocess.run([sys.executable, "-c", imports + die, folder]).returncode == -9
    (folder / ".123.experiment.json").write_text("begun")
    assert len(list(folder.iterdir())) == 2
    with RunFolder(folder).locked():
        assert RunFolder(folder).results_of(QUICK) is None
    assert not any(folder.iterdir())


def test_where_nothing_locks_one_goes_without(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "fcntl", None)
    with locked(tmp_path / "run"), locked(tmp_path / "run"):
        (tmp_path / "run" / "model.h5").write_text("")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.h5"]


@pytest.fixture
def begun(knee_folder):
    """A run's folder that contains a model and its own data."""
    folder = knee_folder.parent / "begun"
    write_json(folder / "experiment.json", QUICK.as_json())
    (folder / "model.h5").write_text("a model")
    knee_folder.rename(folder / "knees")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "begun/knees", "--output", "begun/knees/train"], "is inside the data"),
        (["--data", "begun/knees", "--output", "link/knees/run"], "is inside the data"),
        (["--data", "link/knees", "--output", "begun", "--overwrite"], "would delete"),
        (["--weights", "begun/model.h5", "--output", "link", "--overwrite"], "would delete"),
        (["--data", "nowhere", "--output", "begun", "--overwrite"], "no such folder"),
        (["--output", "begun/model.h5/run"], "cannot be written"),
        (["--output", "/proc/run"], "cannot be written"),
        (["--output", "x" * 300], "File name too long"),
        (["--data", "x" * 300, "--output", "run"], "File name too long"),
        (["--data", "begun/knees", "--output", "begun"], "another experiment (data not given"),
    ],
)
def test_what_would_harm_is_refused_and_nothing_is_lost(
    begun, tmp_path, monkeypatch, refused, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(begun)
    before = sorted(tmp_path.rglob("*"))
    assert message in refused(main, QUICK, arguments)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("experiment.json", "{"),
        ("experiment.json", "[]"),
        ("results.json", ""),
        ("results.json", '{"name": "vgg16_att0", "split": "test", "test": {}}'),
        ("results.json", '{"name": "antony_clsf_att0"}'),
    ],
)
def test_a_folder_edited_by_hand_is_refused(begun, name, content):
    (begun / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}: a damaged file"):
        RunFolder(begun).results_of(QUICK)


def test_a_run_of_an_earlier_version_is_the_same_as_one_with_the_defaults(tmp_path):
    run = RunFolder(tmp_path)
    run.begin(QUICK, [])
    held = read_json(run.experiment_file)
    write_json(run.experiment_file, {name: held[name] for name in held if name != "crop"})
    assert run.different_from(QUICK) == {}
    other = dataclasses.replace(QUICK, epochs=2, crop="square")
    assert run.different_from(other) == {"epochs": (1, 2), "crop": ("auto", "square")}


def test_the_epochs_before_a_kill_count_for_the_time_of_the_run(tmp_path):
    run = RunFolder(tmp_path)
    run.history.write_text("epoch,seconds\n1,2.5\n2,1.5\n")
    assert run.seconds_trained() == 0  # there is no checkpoint
    run.checkpoint.touch()
    assert run.seconds_trained() == 4
    run.history.unlink()  # killed right after the first checkpoint
    assert run.seconds_trained() == 0


@pytest.mark.parametrize(("settings", "trained", "reason"), [
    ({"schedule": "cosine"}, 4, "over 4 epochs .--schedule cosine., so 5 epochs are another"),
    ({}, 3, "stopped after 3 of 4 epochs, because .*; more --epochs change nothing"),
    ({}, 4, "finished after 4 epochs without a saved state"),
    ({"stability": 2}, 4, "its stability training follows epoch 4, so 5 epochs are another"),
])  # fmt: skip
def test_a_finished_run_that_cannot_go_on_says_why(tmp_path, settings, trained, reason):
    run = RunFolder(tmp_path)
    experiment = dataclasses.replace(QUICK, epochs=4, **settings)
    run.begin(experiment, [])
    write_json(run.results_file, {"epochs": trained})
    assert not can_continue(run, experiment)
    assert not can_continue(run, dataclasses.replace(experiment, epochs=3))
    assert not can_continue(run, dataclasses.replace(experiment, epochs=5, seed=1))
    with pytest.raises(InputError, match=reason):
        can_continue(run, dataclasses.replace(experiment, epochs=5))


def test_another_experiment_is_refused_with_its_changes_and_a_free_folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(QUICK, [])
    (tmp_path / "run-2").mkdir()
    other = dataclasses.replace(QUICK, data="knees", image_size=(112, 96), epochs=9, seed=1)
    with pytest.raises(InputError) as refused:
        refuse_collision(run.folder, other)
    assert str(refused.value) == (
        f"{run.folder}: contains another experiment (data not given -> knees, image size 96 96 -> "
        f"112 96, epochs 1 -> 9, 1 more); give --output {run.folder}-3, or --overwrite"
    )


COMMAND = """
import sys
from small_trainings import SMALL, run, run_eagerly

with run_eagerly():
    run(SMALL, *sys.argv[1:])
"""


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
