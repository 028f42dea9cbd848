"""Cells of a sweep, and Table 1 in one command: failed ones are skipped, finished ones kept."""

import sys

import numpy as np
import pandas as pd
import pytest
from small_trainings import leave_figures_blank, run_eagerly
from stand_ins import EXPERIMENTS, load_script

from knee_attention.commands.scripts import sweeps
from knee_attention.commands.scripts.tables import main
from knee_attention.errors import InputError
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.predictions import Predictions, write_predictions
from knee_attention.files import write_json
from knee_attention.networks.files.initial_weights import read_weights
from knee_attention.runs.experiment import DEFAULT_OPTIONS, Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps import tables
from knee_attention.runs.sweeps.cells import (
    finished_of,
    run_cell,
    run_in_turn,
    with_initial_weights,
    without_seed,
)
from knee_attention.runs.sweeps.tables import shared_options, write_table

SCRIPT = EXPERIMENTS / "run_table1.py"
QUICK = ["--limit", "10", "--epochs", "1", "--image-size", "96", "96", "--batch-size", "10",
         "--precision", "float32"]  # fmt: skip
NAMES = ["antony_clsf_att1", "antony_clsf_multiloss"]


@pytest.fixture
def quick():
    """Trainings of this process without graphs and figures."""
    with run_eagerly(), leave_figures_blank():
        yield


def scripts():
    return load_script(SCRIPT).SCRIPTS


def test_it_runs_the_twenty():
    assert len(scripts()) == 20 and all(path.exists() for path in scripts())


@pytest.mark.slow
def test_a_failed_run_is_reported_and_a_second_call_does_only_what_is_missing(
    quick, tmp_path, capsys
):
    output = tmp_path / "table"
    blocked = output / NAMES[0]
    blocked.mkdir(parents=True)
    (blocked / "notes.txt").write_text("not a run")
    command = ["--output", str(output), "--only", *NAMES, *QUICK]
    with pytest.raises(SystemExit) as ended:
        main("table1", scripts(), command)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert "1 of 2 runs failed" in shown.err and "Traceback" not in shown.err
    text = (output / "table1.md").read_text()
    assert "failed: antony_clsf_att1" in text and "synthetic" in text
    assert text.count("multi-loss") == 2
    before = (output / NAMES[1] / "model.h5").stat().st_mtime_ns

    (blocked / "notes.txt").unlink()
    main("table1", scripts(), command)
    assert "already finished" in capsys.readouterr().out
    assert (output / NAMES[1] / "model.h5").stat().st_mtime_ns == before
    table = pd.read_csv(output / "table1.csv")
    assert list(table["output"]) == ["att1", "att1", "att2"]
    assert list(table["paper"]) == [0.419, 0.439, 0.466]
    alone, multi = table["attention"][0], table["attention"][1]
    assert alone > 0 and multi > 0
    assert "<table" in (output / "table1.html").read_text()
    text = (output / "table1.md").read_text()
    assert "failed" not in text and "against its best single branch, att1" in text


@pytest.mark.slow
def test_two_workers_write_the_table_of_one_process(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    options = ["--only", *NAMES, *QUICK]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--output", str(tmp_path / "queued"), *options,
                                      "--workers", "2"])  # fmt: skip
    main("table1", scripts(), sys.argv[1:])
    main("table1", scripts(), ["--output", str(tmp_path / "alone"), *options])
    ours, theirs = (pd.read_csv(tmp_path / kind / "table1.csv") for kind in ("queued", "alone"))
    assert len(ours) == 3
    pd.testing.assert_frame_equal(*(table.drop(columns="minutes") for table in (ours, theirs)))


def test_some_of_a_table_are_of_its_queue(tmp_path, monkeypatch, capsys):
    """Also on phantoms, where every backbone has its own settings."""
    pytest.importorskip("optuna")
    monkeypatch.setattr(sweeps, "run_from", lambda *_: None)
    main("table1", scripts(), ["--output", str(tmp_path / "table"), "--worker"])
    capsys.readouterr()
    main("table1", scripts(), ["--output", str(tmp_path / "table"), "--only", *NAMES, "--status"])
    assert "done 0, running 0, waiting 2, failed 0" in capsys.readouterr().out
    smallest = ["--image-size", "64", "64"]  # too small for Antony's networks
    main("table1", scripts(), ["--output", str(tmp_path / "small"), "--only", "vgg16_att0",
                               *smallest, "--status"])  # fmt: skip
    assert "waiting 1" in capsys.readouterr().out


def test_runs_that_are_not_there_yet_are_named(tmp_path):
    write_table("table1", {"vgg16_att0": Experiment()}, {}, tmp_path)
    assert "not run yet: vgg16_att0" in (tmp_path / "table1.md").read_text()


def test_a_run_outside_of_the_published_band_is_marked_in_text_and_csv(tmp_path, monkeypatch):
    def training(seed, right):
        """A run that grades the first `right` of 20 knees right, and all others 0."""
        files, grades = [f"{knee}R.png" for knee in range(20)], 1 + np.arange(20) % 4
        predicted = np.where(np.arange(20) < right, grades, 0)
        results = {"name": "vgg16_att0", "chosen": "att0", "synthetic": False, "parameters": 1,
                   "split": "validation", "knees": 20,
                   "validation": {"att0": {"cross_entropy": 1}}}  # fmt: skip
        return FinishedRun({**Experiment().as_json(), "data": "set", "seed": seed}, results, {},
                           Predictions(files, files, grades, {"att0": np.eye(5)[predicted]}), None)

    published = {"vgg16_att0": [training(seed, right) for seed, right in enumerate((10, 11, 10))]}
    experiment = Experiment(data="set")
    for right, outside, mark in ((11, [""], "37.3 to 66.0 |"), (2, ["3"], "66.0, OUTSIDE: seed 3")):
        monkeypatch.setattr(tables, "finished_of", lambda *_, r=right: {"run": training(3, r)})
        write_table("table1", {"run": experiment}, {}, tmp_path, published)
        table = pd.read_csv(tmp_path / "table1.csv", dtype=str, keep_default_na=False)
        assert list(table["outside"]) == outside
        assert mark in (tmp_path / "table1.md").read_text()


@pytest.mark.parametrize("damaged", ["experiment.json", "results.json", "environment.json"])
def test_a_damaged_run_is_named_and_does_not_stop_the_table(tmp_path, damaged):
    folder = tmp_path / "vgg16_att0"
    write_json(folder / "experiment.json", Experiment().as_json())
    write_json(folder / "results.json", {})
    write_json(folder / "environment.json", {"wall_seconds": 60})
    knee = Predictions(["1R"], ["1"], np.zeros(1, int), {"att0": np.full((1, 5), 0.2)})
    write_predictions(knee, "att0", folder / "predictions.csv")
    (folder / damaged).write_text("{")
    failed = {}
    write_table("table1", {"vgg16_att0": Experiment()}, failed, tmp_path)
    assert damaged in failed["vgg16_att0"]
    assert "failed: vgg16_att0: " in (tmp_path / "table1.md").read_text()


def test_an_output_within_the_data_is_refused_at_once(knee_folder, refused):
    output = knee_folder / "table"
    options = ["--data", str(knee_folder), "--output", str(output), "--image-size", "112", "96"]
    assert "is inside the data" in refused(main, "table1", scripts(), options)
    assert not output.exists()


def test_an_output_that_is_a_file_is_refused_at_once(tmp_path, refused):
    (tmp_path / "file").write_text("")
    options = ["--output", str(tmp_path / "file")]
    assert "not a folder" in refused(main, "table1", scripts(), options)


def test_every_run_starts_from_its_namesake_of_another_table(tmp_path):
    for cell in ("vgg16_att0", "vgg16_att0-seed1"):
        (tmp_path / cell).mkdir()
        (tmp_path / cell / "model.h5").touch()
    experiment = Experiment(weights=str(tmp_path))
    cells = dict.fromkeys(("vgg16_att0", "vgg16_att0-seed1"), experiment)
    assert {cell: e.weights for cell, e in with_initial_weights(cells).items()} == {
        cell: str(tmp_path / cell / "model.h5") for cell in cells
    }
    one = Experiment(weights=str(tmp_path / "vgg16_att0" / "model.h5"))
    assert with_initial_weights({"vgg16_att1": one}) == {"vgg16_att1": one}
    with pytest.raises(InputError, match="no finished run vgg16_att1 for the initial weights"):
        with_initial_weights({"vgg16_att1": experiment})


@pytest.mark.parametrize(
    "option", [["--only", NAMES[0]], ["--seeds", "3"], ["--output", "x"], ["--workers", "2"],
               ["--overwrite"], ["--image-size", "96", "96"], ["--retry-failed"]]
)  # fmt: skip
def test_published_runs_are_shown_as_they_are(tmp_path, refused, option):
    said = refused(main, "table1", scripts(), ["--from", str(tmp_path), *option])
    assert f"leave out {option[0]}" in said


def test_a_folder_that_is_called_scratch_is_not_meant(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    cells = {"vgg16_att0": Experiment()}
    assert with_initial_weights(cells) == cells


@pytest.mark.parametrize("weights", [".", "none.h5"])
def test_weights_that_are_not_there_are_refused_before_anything_runs(tmp_path, refused, weights):
    options = ["--output", str(tmp_path / "out"), "--weights", str(tmp_path / weights)]
    assert "initial weights" in refused(main, "table1", scripts(), options)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_table_of_larger_images_starts_from_one_of_small_images(quick, tmp_path, capsys):
    small, large = tmp_path / "small", tmp_path / "large"
    main("table1", scripts(), ["--output", str(small), "--only", *NAMES, *QUICK])
    options = [*QUICK, "--image-size", "112", "112", "--learning-rate", "1e-20"]
    options += ["--weights", str(small)]
    main("table1", scripts(), ["--output", str(large), "--only", *NAMES, *options])
    assert "multi-loss" in capsys.readouterr().out
    for name in NAMES:
        held = RunFolder(large / name).read_experiment()
        assert held["weights"] == str(small / name / "model.h5")
        ours, theirs = (read_weights(folder / name / "model.h5") for folder in (large, small))
        np.testing.assert_allclose(ours["conv3"][0], theirs["conv3"][0], atol=1e-6)


def test_a_network_of_a_single_image_size_keeps_it(tmp_path, capsys):
    options = ["--output", str(tmp_path / "table"), "--image-size", "112", "112", "--status"]
    main("related", [EXPERIMENTS / "run_tiulpin.py"], options)
    assert "waiting 1" in capsys.readouterr().out


LOSSES = {"att0": {"cross_entropy": 0.5}, "att1": {"cross_entropy": 2.0},
          "kl": {"cross_entropy": 1.5}, "ensemble": {"cross_entropy": 9.0}}  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """Make every run return these validation losses without training."""
    monkeypatch.setattr("knee_attention.runs.run.run", lambda *_: {"validation": LOSSES})


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (Experiment(branches=("att0", "att1"), fusion="multi_loss", loss_weights=(0.6, 0.9)),
         0.6 * 0.5 + 0.9 * 2.0),
        (Experiment(branches=("att1",)), 2.0),
        (Experiment(branches=("att1",), loss_weights=(0.5,)), 0.5 * 2.0),
        (Experiment("antony_joint_baseline", (), "joint", loss_weights=(0.5, 0.5),
                    image_size=(96, 96)), 0.5 * 1.5),
    ],
)  # fmt: skip
def test_a_cell_is_kept_with_the_loss_that_its_training_watched(
    trained, tmp_path, experiment, expected
):
    """The weighted sum over the outputs, without the regression and the ensemble."""
    assert run_cell(experiment, tmp_path, DEFAULT_OPTIONS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("vgg16_att0", "vgg16_att0"), ("vgg16_att0-seed1", "vgg16_att0"),
     ("w1-0.8-seed12", "w1-0.8"), ("vgg16_att0-seed1-strong", "vgg16_att0-seed1-strong")],
)  # fmt: skip
def test_a_folder_is_named_by_its_experiment_and_perhaps_its_seed(folder, name):
    assert without_seed(folder) == name


def test_what_fails_is_one_line_and_the_rest_is_run(monkeypatch, tmp_path, capsys):
    def fail(experiment, folder, run_options):
        if experiment.seed < 2:
            raise (ValueError("\nno room\nin the memory"), KeyError())[experiment.seed]

    monkeypatch.setattr("knee_attention.runs.sweeps.cells.run_cell", fail)
    known = []
    failed = run_in_turn({f"cell{seed}": Experiment(seed=seed) for seed in range(3)}, tmp_path,
                         DEFAULT_OPTIONS, lambda failed: known.append(dict(failed)))  # fmt: skip
    assert failed == {"cell0": "no room", "cell1": "KeyError"} and known[-1] == failed
    assert [len(so_far) for so_far in known] == [1, 2, 2]
    assert "[3/3] cell2" in capsys.readouterr().out


def test_a_cell_that_succeeds_is_not_reported_as_failed(monkeypatch, tmp_path):
    unreadable = [{}, {"cell1": "the data have changed"}]
    monkeypatch.setattr("knee_attention.runs.sweeps.cells.run_cell", lambda *_: None)
    cells = {f"cell{seed}": Experiment(seed=seed) for seed in range(2)}
    failed = run_in_turn(cells, tmp_path, DEFAULT_OPTIONS,
                         lambda failed: failed.update(unreadable.pop()))  # fmt: skip
    assert failed == {}


@pytest.mark.parametrize("option", [{"targets": "gaussian"}, {"attention": "shared"}])
def test_the_runs_of_a_table_share_their_targets_and_their_masks(option):
    assert shared_options(Experiment(), set()) != shared_options(Experiment(**option), set())


def test_a_folder_that_holds_another_experiment_is_not_taken_for_the_cell(monkeypatch, tmp_path):
    monkeypatch.setattr(RunFolder, "read", lambda run: run.folder.name)
    for name in ("same", "other"):
        run = RunFolder(tmp_path / name)
        run.begin(Experiment(), [])
        run.results_file.write_text("{}")
    cells = {"same": Experiment(), "other": Experiment(seed=1), "none": Experiment()}
    failed = {}
    assert finished_of(cells, failed, tmp_path) == {"same": "same"} and not failed
