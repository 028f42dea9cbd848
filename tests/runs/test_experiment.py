"""The measurement of a trained model, the files of a finished run, and when it starts again."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from small_trainings import SMALL, results_of, run

from knee_attention.commands.cli import main
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Dataset, Knees
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities, mean_of_passes
from knee_attention.grading.grader import load_grader
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.batch_statistics import PreciseBatchNorm
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finishing import finish
from knee_attention.runs.measure import Measured, measure
from knee_attention.runs.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on phantoms."""
    folder = tmp_path_factory.mktemp("runs") / "phantoms"
    run(SMALL, "--output", folder, "--limit", 10, "--epochs", 2)
    return folder


def test_a_run_folder_is_complete(finished):
    found = {path.relative_to(finished).as_posix() for path in finished.rglob("*.*")}
    assert found == {
        "experiment.json", "environment.json", "checkpoint.h5", "history.csv", "model.h5",
        "model.keras", "predictions.csv", "results.json", "figures/learning_curves.png",
        "figures/masks.png", "figures/confusion_matrix.png", "figures/reliability.png",
        "figures/augmentation.png",
    }  # fmt: skip
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["precision"] == "float32" and environment["wall_seconds"] > 0
    assert environment["versions"]["keras"] == keras.__version__
    experiment = json.loads((finished / "experiment.json").read_text())
    assert experiment["image_size"] == [96, 96] and experiment["loss_weights"] == [1.0, 0.8]
    assert len(pd.read_csv(finished / "history.csv")) == 2


def test_results_follow_from_the_predictions(finished):
    table = pd.read_csv(finished / "predictions.csv")
    results = results_of(finished)
    assert results["synthetic"] and results["split"] == "test"
    assert len(table) == results["knees"] == 10
    for output in ("att1", "att2"):
        probabilities = table[[f"{output}_p{grade}" for grade in range(5)]].to_numpy()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        accuracy = (probabilities.argmax(axis=1) == table["grade"]).mean()
        assert results["test"][output]["accuracy"] == pytest.approx(accuracy)
    chosen = results["chosen"]
    validation = results["validation"]
    assert validation[chosen]["cross_entropy"] == min(
        validation[output]["cross_entropy"] for output in ("att1", "att2")
    )
    assert set(results["localisation"]) == {"att1", "att2"}
    assert "ensemble" in results["test"]


def test_the_history_tells_of_the_losses_that_were_asked_for(finished):
    history = pd.read_csv(finished / "history.csv")
    for prefix in ("", "val_"):
        asked = history[f"{prefix}att1_loss"] + 0.8 * history[f"{prefix}att2_loss"]
        np.testing.assert_allclose(history[f"{prefix}loss"], asked, rtol=1e-4)
    best = history.loc[history["val_loss"].idxmin()]
    for output in ("att1", "att2"):
        measured = results_of(finished)["validation"][output]["cross_entropy"]
        assert best[f"val_{output}_loss"] == pytest.approx(measured, rel=1e-4)


def assert_normalised_by_training_knees(folder, seed=0):
    """Pixels by the training set, features by its batch, in the order and flips of the seed."""
    knees = phantom_dataset((96, 96), 10, seed, ("train",)).splits["train"]
    described = read_description(folder / "model.h5")
    assert described["pixel_mean"][0] == pytest.approx(knees.images.mean(), abs=0.01)
    assert described["pixel_deviation"] == pytest.approx(knees.images.std(), abs=0.01)
    model = load_model(folder / "model.h5")
    before = [weight.numpy().copy() for weight in model.non_trainable_weights]
    again = PreciseBatchNorm(KneeBatches(knees, model.output_names, 10, training=True, seed=seed))
    again.set_model(model)
    again.on_test_begin()
    assert len(before) >= 2
    for ours, theirs in zip(before, model.non_trainable_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_model_is_normalised_by_its_training_knees(finished):
    assert_normalised_by_training_knees(finished)


@pytest.mark.usefixtures("blank_figures")
def test_a_finished_run_is_kept_and_begun_anew_only_when_asked(capsys, finished, tmp_path):
    folder = tmp_path / "link"
    folder.symlink_to(shutil.copytree(finished, tmp_path / "copy"))
    before = (folder / "model.h5").stat().st_mtime_ns
    run(SMALL, "--output", folder, "--limit", 10, "--epochs", 2)
    assert "already finished;" in capsys.readouterr().out
    run(SMALL, "--output", folder, "--limit", 10, "--epochs", 2, "--pdf")
    assert "already finished (--pdf is ignored);" in capsys.readouterr().out
    assert (folder / "model.h5").stat().st_mtime_ns == before
    run(SMALL, "--output", folder, "--limit", 10, "--epochs", 2, "--overwrite")
    assert (folder / "model.h5").stat().st_mtime_ns > before
    assert results_of(folder) == results_of(finished)


@pytest.mark.usefixtures("blank_figures")
def test_a_finished_run_goes_on_to_more_epochs_and_ends_as_an_unbroken_one(
    capsys, finished, tmp_path
):
    longer = shutil.copytree(finished, tmp_path / "longer")
    for folder in (longer, tmp_path / "whole"):
        run(SMALL, "--output", folder, "--limit", 10, "--epochs", 3)
    assert "resuming after epoch 2" in capsys.readouterr().out
    assert results_of(longer) == results_of(tmp_path / "whole")
    assert read_description(longer / "model.h5")["experiment"]["epochs"] == 3


@pytest.mark.usefixtures("blank_figures")
def test_a_killed_run_of_more_epochs_has_no_results_of_fewer(finished, tmp_path, monkeypatch):
    longer = shutil.copytree(finished, tmp_path / "longer")
    monkeypatch.setattr("knee_attention.runs.run.train", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(SMALL, "--output", longer, "--limit", 10, "--epochs", 3)
    assert not (longer / "results.json").exists() and (longer / "checkpoint.h5").exists()


def test_what_a_run_begins_from_is_not_deleted_to_begin_anew(refused, finished):
    weights = finished / "model.h5"
    said = refused(run, SMALL, "--output", finished, "--limit", 10, "--weights", weights,
                   "--overwrite")  # fmt: skip
    assert f"--overwrite would delete the input {weights}" in said and weights.exists()


@pytest.mark.usefixtures("blank_figures")
def test_another_seed_gives_other_results(finished, tmp_path):
    run(SMALL, "--output", tmp_path / "run", "--limit", 10, "--epochs", 2, "--seed", 1)
    assert results_of(tmp_path / "run")["test"] != results_of(finished)["test"]
    assert_normalised_by_training_knees(tmp_path / "run", seed=1)


def test_what_cannot_be_run_is_one_sentence(refused, finished, knee_folder, tmp_path):
    out = ("--output", tmp_path / "run")
    assert "no such folder" in refused(run, SMALL, "--data", tmp_path / "none", *out)
    (tmp_path / "empty").mkdir()
    assert "expected train" in refused(run, SMALL, "--data", tmp_path / "empty", *out)
    said = refused(run, SMALL, "--output", finished, "--limit", 10, "--epochs", 1)
    assert f"another experiment (epochs 2 -> 1); give --output {finished}-2, or" in said
    assert "contains other files" in refused(run, SMALL, "--output", knee_folder)
    (tmp_path / "file").write_text("")
    assert "not a folder" in refused(run, SMALL, "--output", tmp_path / "file")
    vgg16 = Experiment()
    said = refused(run, vgg16, "--data", knee_folder, *out, "--weights", finished / "model.h5")
    assert "another architecture" in said and "block1_conv1" in said
    assert not (tmp_path / "run").exists()


BRANCHES = ("att1", "att2")
EXPERIMENT = Experiment("antony_clsf", BRANCHES, "multi_loss", (1.0, 0.8), data="knees")


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize(("chosen", "other"), [BRANCHES, BRANCHES[::-1]])
def test_the_branch_is_chosen_on_validation(tmp_path, chosen, other):
    """The validation grades favour one branch, the test grades the other."""
    keras.utils.set_random_seed(0)
    model = build_model("antony_clsf", BRANCHES, "multi_loss", (96, 96))
    images = np.random.default_rng(0).integers(0, 256, (10, 96, 96)).astype(np.uint8)
    said = model.predict(images[..., np.newaxis].astype(np.float32), verbose=0)
    names = [f"{number}.png" for number in range(10)]

    def knees(better: str, worse: str) -> Knees:
        grades = (np.log(said[better]) - np.log(said[worse])).argmax(axis=1)
        return Knees(images, grades, names, names)

    dataset = Dataset({"validation": knees(chosen, other), "test": knees(other, chosen)})
    logs = [f"{prefix}{name}" for prefix in ("", "val_") for name in
            ("loss", *(f"{output}_{log}" for output in BRANCHES for log in ("loss", "accuracy")))]
    history = [{"epoch": 1, "learning_rate": 1e-3, **dict.fromkeys(logs, 0.5)}]
    results = finish(EXPERIMENT, model, dataset, history, RunFolder(tmp_path))
    assert results["chosen"] == chosen and results["split"] == "test"
    losses = {name: results["test"][name]["cross_entropy"] for name in BRANCHES}
    assert losses[chosen] > losses[other]


def test_each_branch_is_scored_by_its_own_masks():
    joints = np.zeros((2, 8, 8), bool)
    joints[:, 2:4, 2:6] = True
    knees = Knees(np.zeros((2, 8, 8), np.uint8), np.zeros(2, int), ["1R", "1L"], ["1", "1"], joints)
    said = Predictions(knees.files, knees.subjects, knees.grades, {"att0": np.full((2, 5), 0.2)})
    on = np.where(joints, 0.9, 0.1).astype(np.float32)
    scores = Measured(knees, said, {"att0": 1 - on, "att2": on}).localisation()
    assert list(scores) == ["att0", "att2"]
    assert scores["att0"]["inside_over_outside"] < 0.2 < 5 < scores["att2"]["inside_over_outside"]


def test_one_pass_gives_what_the_model_says_and_where_it_looks():
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    images = np.random.default_rng(0).integers(0, 256, (40, 96, 96)).astype(np.uint8)
    files = [f"{number}.png" for number in range(40)]
    found = measure(model, Knees(images, np.arange(40) % 5, files, [""] * 40))
    said = model.predict(images[..., np.newaxis], batch_size=32, verbose=0)
    for branch in ("att1", "att2"):
        np.testing.assert_allclose(found.predictions.of(branch), said[branch], atol=1e-6)
    assert {name: masks.shape for name, masks in found.masks.items()} == {
        "att1": (40, 5, 5), "att2": (40, 2, 2),
    }  # fmt: skip
    assert found.predictions.subjects == files  # a knee without a subject counts as a person
    results = found.results("validation", "att2")
    assert results["knees"] == results["subjects"] == 40 and "localisation" not in results
    assert results["validation"]["att2"]["accuracy"] == pytest.approx(
        (said["att2"].argmax(axis=1) == np.arange(40) % 5).mean()
    )


@pytest.mark.usefixtures("blank_figures")
def test_a_model_with_flips_averages_wherever_it_grades(finished, tmp_path):
    run(SMALL, "--output", tmp_path / "run", "--limit", 10, "--epochs", 0, "--flips",
        "--weights", finished / "model.h5")
    for model, flips, output in ((finished, ["--flips"], "asked"), (tmp_path / "run", [], "own")):
        main(["evaluate", str(model), *flips, "--output", str(tmp_path / output)])
    wanted = (tmp_path / "asked" / "predictions.csv").read_bytes()
    assert wanted != (finished / "predictions.csv").read_bytes()
    for folder in ("run", "own"):
        assert (tmp_path / folder / "predictions.csv").read_bytes() == wanted
    image = phantom_dataset((96, 96), 10, 0, ("test",)).splits["test"].images[0]
    [knee] = load_grader(tmp_path / "run").grade(image, "crop")
    [plain] = load_grader(finished).grade(image, "crop")
    said = pd.read_csv(tmp_path / "run" / "predictions.csv").iloc[0]
    for output, found in knee.branches.items():
        expected = [said[f"{output}_p{grade}"] for grade in range(5)]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_array_equal(knee.masks[output], plain.masks[output])


@pytest.mark.parametrize(("one", "other", "expected"), [
    (1.2, 2.9, 2.05), (0.0, 4.0, 2.0), (1.4, 1.4, 1.4), (-1.0, 1.0, 0.5), (3.2, 9.0, 3.6),
])  # fmt: skip
def test_a_knee_and_its_mirror_image_have_the_mean_of_a_regression_s_grades(one, other, expected):
    passes = [as_probabilities(np.array([[grade]])) for grade in (one, other)]
    [found] = mean_of_passes("regression", passes)
    assert found @ range(5) == pytest.approx(expected)
    assert found.argmax() == round(expected)
