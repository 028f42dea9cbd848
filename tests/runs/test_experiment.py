"""The files of a finished run, and when the run starts again."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from small_trainings import SMALL, results_of, run

from knee_attention.datasets.batches import KneeBatches
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.batch_statistics import PreciseBatchNorm
from knee_attention.runs.experiment import Experiment

pytestmark = pytest.mark.usefixtures("eager")


def refused(capsys, experiment, *arguments):
    """The error message of a refused command line."""
    with pytest.raises(SystemExit) as ended:
        run(experiment, *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert "Traceback" not in said
    return said.splitlines()[-1]


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


def test_the_saved_models_predict_what_the_run_predicted(finished):
    knees = phantom_dataset((96, 96), limit=10).splits["test"]
    table = pd.read_csv(finished / "predictions.csv")
    expected = table[[f"att2_p{grade}" for grade in range(5)]].to_numpy()
    for name in ("model.h5", "model.keras"):
        model = keras.saving.load_model(finished / name, compile=False)
        predicted = model.predict(knees.images[..., None], verbose=0)["att2"]
        np.testing.assert_allclose(predicted, expected, atol=1e-5)


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


def test_what_a_run_begins_from_is_not_deleted_to_begin_anew(capsys, finished):
    weights = finished / "model.h5"
    said = refused(capsys, SMALL, "--output", finished, "--limit", 10, "--weights", weights,
                   "--overwrite")  # fmt: skip
    assert f"--overwrite would delete the input {weights}" in said and weights.exists()


@pytest.mark.usefixtures("blank_figures")
def test_another_seed_gives_other_results(finished, tmp_path):
    run(SMALL, "--output", tmp_path / "run", "--limit", 10, "--epochs", 2, "--seed", 1)
    assert results_of(tmp_path / "run")["test"] != results_of(finished)["test"]
    assert_normalised_by_training_knees(tmp_path / "run", seed=1)


def test_what_cannot_be_run_is_one_sentence(capsys, finished, knee_folder, tmp_path):
    out = ("--output", tmp_path / "run")
    assert "no such folder" in refused(capsys, SMALL, "--data", tmp_path / "none", *out)
    (tmp_path / "empty").mkdir()
    assert "expected train" in refused(capsys, SMALL, "--data", tmp_path / "empty", *out)
    said = refused(capsys, SMALL, "--output", finished, "--limit", 10, "--epochs", 1)
    assert f"another experiment (epochs 2 -> 1); give --output {finished}-2, or" in said
    assert "contains other files" in refused(capsys, SMALL, "--output", knee_folder)
    (tmp_path / "file").write_text("")
    assert "not a folder" in refused(capsys, SMALL, "--output", tmp_path / "file")
    vgg16 = Experiment()
    said = refused(capsys, vgg16, "--data", knee_folder, *out, "--weights", finished / "model.h5")
    assert "another architecture" in said and "block1_conv1" in said
    assert not (tmp_path / "run").exists()
