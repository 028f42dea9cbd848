"""The cells of a sweep, without any training."""

import pytest

from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.run_options import DEFAULT_OPTIONS
from knee_attention.runs.sweeps.cells import finished_of, run_cell, run_in_turn, without_seed

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
            raise (ValueError("no room\nin the memory"), KeyError())[experiment.seed]

    monkeypatch.setattr("knee_attention.runs.sweeps.cells.run_cell", fail)
    known = []
    failed = run_in_turn({f"cell{seed}": Experiment(seed=seed) for seed in range(3)}, tmp_path,
                         DEFAULT_OPTIONS, lambda failed: known.append(dict(failed)))  # fmt: skip
    assert failed == {"cell0": "no room", "cell1": "KeyError"} and known[-1] == failed
    assert [len(so_far) for so_far in known] == [1, 2, 2]
    assert "[3/3] cell2" in capsys.readouterr().out


def test_a_folder_that_holds_another_experiment_is_not_taken_for_the_cell(monkeypatch, tmp_path):
    monkeypatch.setattr(RunFolder, "read", lambda run: run.folder.name)
    for name in ("same", "other"):
        run = RunFolder(tmp_path / name)
        run.begin(Experiment(), [])
        run.results_file.write_text("{}")
    cells = {"same": Experiment(), "other": Experiment(seed=1), "none": Experiment()}
    failed = {}
    assert finished_of(cells, failed, tmp_path) == {"same": "same"} and not failed
