"""Experiments from the command line to the run folder."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from knee_attention.commands.scripts.experiment import main
from knee_attention.datasets.batches import KneeBatches
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.films.legs import split_knees
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.batch_statistics import PreciseBatchNorm
from knee_attention.runs.experiment import Experiment

SCRIPTS = Path(__file__).parents[2] / "experiments"
SMALL = Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss",
                   loss_weights=(1.0, 0.8))
QUICK = ["--image-size", "96", "96", "--batch-size", "8", "--learning-rate", "1e-3",
         "--precision", "float32"]


def run(experiment, *arguments):
    main(experiment, [*map(str, arguments), *QUICK])


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


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
    run(SMALL, "--output", folder, "--limit", 20, "--epochs", 2)
    return folder


def test_a_run_folder_is_complete(finished):
    found = {path.relative_to(finished).as_posix() for path in finished.rglob("*.*")}
    assert found == {
        "experiment.json", "environment.json", "history.csv", "model.h5", "model.keras",
        "predictions.csv", "results.json", "figures/learning_curves.png", "figures/masks.png",
        "figures/confusion_matrix.png", "figures/reliability.png", "figures/augmentation.png",
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
    assert len(table) == results["knees"] == 20
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
    """The model has the pixel statistics of the training set, and the batch statistics of its
    augmented knees in the seed's order.
    """
    knees = phantom_dataset((96, 96), 20, seed, ("train",)).splits["train"]
    described = read_description(folder / "model.h5")
    assert described["pixel_mean"][0] == pytest.approx(knees.images.mean(), abs=0.01)
    assert described["pixel_deviation"] == pytest.approx(knees.images.std(), abs=0.01)
    model = load_model(folder / "model.h5")
    before = [weight.numpy().copy() for weight in model.non_trainable_weights]
    again = PreciseBatchNorm(KneeBatches(knees, model.output_names, 8, training=True, seed=seed))
    again.set_model(model)
    again.on_test_begin()
    assert len(before) >= 2
    for ours, theirs in zip(before, model.non_trainable_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_model_is_normalised_by_its_training_knees(finished):
    assert_normalised_by_training_knees(finished)


def test_the_saved_models_predict_what_the_run_predicted(finished):
    knees = phantom_dataset((96, 96), limit=20).splits["test"]
    table = pd.read_csv(finished / "predictions.csv")
    expected = table[[f"att2_p{grade}" for grade in range(5)]].to_numpy()
    for name in ("model.h5", "model.keras"):
        model = keras.saving.load_model(finished / name, compile=False)
        predicted = model.predict(knees.images[..., None], verbose=0)["att2"]
        np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_the_screen_says_what_runs_and_what_came_out(capsys, knee_folder, tmp_path):
    run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    said = capsys.readouterr().out
    for part in ("antony_clsf_multiloss", "parameters", "train 20 (4 4 4 4 4)", "test 10",
                 "float32", "CPU", str(tmp_path / "run")):  # fmt: skip
        assert part in said.splitlines()[0]
    assert "0.439" in said and "0.466" in said
    assert "synthetic" not in said


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_model_says_how_its_knees_were_cut_and_its_precision(knee_folder, tmp_path, precision):
    cutting = Cutting("middle", (96, 96), "pad", "none", flip_left=True)
    write_cutting(knee_folder, cutting)
    main(SMALL, [*QUICK, "--data", str(knee_folder), "--output", str(tmp_path / "run"),
                 "--epochs", "1", "--precision", precision])  # fmt: skip
    for name in ("model.h5", "model.keras"):
        said = read_description(tmp_path / "run" / name)
        assert Cutting.recorded(said["cutting"], name) == cutting
        assert said["precision"] == precision
    computed = load_model(tmp_path / "run" / "model.h5").get_layer("conv2").compute_dtype
    assert computed == precision.removeprefix("mixed_")


def test_a_finished_run_is_kept_and_begun_anew_only_when_asked(capsys, finished, tmp_path):
    folder = tmp_path / "link"
    folder.symlink_to(shutil.copytree(finished, tmp_path / "copy"))
    before = (folder / "model.h5").stat().st_mtime_ns
    run(SMALL, "--output", folder, "--limit", 20, "--epochs", 2)
    assert "already finished;" in capsys.readouterr().out
    run(SMALL, "--output", folder, "--limit", 20, "--epochs", 2, "--pdf")
    assert "already finished (--pdf is ignored);" in capsys.readouterr().out
    assert (folder / "model.h5").stat().st_mtime_ns == before
    run(SMALL, "--output", folder, "--limit", 20, "--epochs", 2, "--overwrite")
    assert (folder / "model.h5").stat().st_mtime_ns > before
    assert results_of(folder) == results_of(finished)


def test_what_a_run_begins_from_is_not_deleted_to_begin_anew(capsys, finished):
    weights = finished / "model.h5"
    said = refused(capsys, SMALL, "--output", finished, "--limit", 20, "--weights", weights,
                   "--overwrite")  # fmt: skip
    assert f"--overwrite would delete the input {weights}" in said and weights.exists()


def test_another_seed_gives_other_results(finished, tmp_path):
    run(SMALL, "--output", tmp_path / "run", "--limit", 20, "--epochs", 2, "--seed", 1)
    assert results_of(tmp_path / "run")["test"] != results_of(finished)["test"]
    assert_normalised_by_training_knees(tmp_path / "run", seed=1)


def test_a_killed_run_continues_and_ends_as_an_unbroken_one(finished, tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, SCRIPTS / "run_antony_clsf_multiloss.py", "--output", folder,
               "--limit", "20", "--epochs", "40", "--augment", "strong", *QUICK]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(pd.read_csv(folder / "history.csv"))
    assert 0 < done < 40 and not (folder / "results.json").exists()
    # The interrupted and the whole run only differ in their number of epochs.
    described = json.loads((folder / "experiment.json").read_text())
    epochs = done + 2
    described["epochs"] = epochs
    (folder / "experiment.json").write_text(json.dumps(described))
    options = ("--limit", 20, "--epochs", epochs, "--augment", "strong")
    run(SMALL, "--output", folder, *options)
    run(SMALL, "--output", tmp_path / "whole", *options)
    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))
    whole = pd.read_csv(tmp_path / "whole" / "history.csv")
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), whole.drop(columns="seconds"))
    assert results_of(folder) == results_of(tmp_path / "whole")
    times = json.loads((folder / "environment.json").read_text())
    assert times["wall_seconds"] > times["training_seconds"]


def test_a_folder_with_negatives_trains_as_its_mended_copy(tmp_path):
    """The inverted images are listed."""
    for split, films in (("train", 10), ("validation", 5)):
        for number in range(films):
            film = phantom_film((number % 5, (number + 2) % 5), number, 256)
            for side, knee in split_knees(film.image, "auto").items():
                for folder in ("mixed", "mended"):
                    path = tmp_path / folder / split / str(film.grades[side])
                    path.mkdir(parents=True, exist_ok=True)
                    turn = folder == "mixed" and number == 3 and side == "L"
                    cv2.imwrite(str(path / f"{split}{number}{side}.png"), ~knee if turn else knee)
    for folder in ("mixed", "mended"):
        run(SMALL, "--data", tmp_path / folder, "--output", tmp_path / "runs" / folder,
            "--epochs", 1)  # fmt: skip
    mixed, mended = (tmp_path / "runs" / folder for folder in ("mixed", "mended"))
    for name in ("results.json", "predictions.csv"):
        assert (mixed / name).read_bytes() == (mended / name).read_bytes()
    turned = pd.read_csv(mixed / "turned.csv")["file"].tolist()
    assert turned == ["train/0/train3L.png", "validation/0/validation3L.png"]
    assert not (mended / "turned.csv").exists()


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(backbone="antony_extended", branches=("att2",), fusion="single"),
        Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="early_fusion"),
    ],
    ids=lambda experiment: experiment.name,
)
def test_single_branch_and_early_fusion_run_too(experiment, knee_folder, tmp_path):
    shutil.rmtree(knee_folder / "test")
    run(experiment, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    results = results_of(tmp_path / "run")
    assert results["split"] == "validation" and "test" not in results
    assert results["chosen"] in ("att2", "kl") and "localisation" not in results


def test_training_can_start_from_an_earlier_run(finished, knee_folder, tmp_path):
    run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1,
        "--weights", finished / "model.h5")
    assert (tmp_path / "run" / "results.json").exists()


def test_unreadable_images_are_listed_before_the_training(
    capsys, knee_folder, tmp_path, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    (knee_folder / "train" / "1" / "broken.png").write_bytes(b"")
    monkeypatch.setattr("knee_attention.runs.run.train", interrupt)
    with pytest.raises(SystemExit):
        run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    assert "skipped 1 unreadable image" in capsys.readouterr().out
    listed = pd.read_csv(tmp_path / "run" / "unreadable.csv")
    assert listed["reason"].tolist() == ["the file is empty"]


def test_a_class_missing_in_training_is_a_warning(capsys, knee_folder, tmp_path):
    shutil.rmtree(knee_folder / "train" / "4")
    run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    assert "the training split has no knee of grade 4" in capsys.readouterr().out


def test_what_cannot_be_run_is_one_sentence(capsys, finished, knee_folder, tmp_path):
    out = ("--output", tmp_path / "run")
    assert "no such folder" in refused(capsys, SMALL, "--data", tmp_path / "none", *out)
    (tmp_path / "empty").mkdir()
    assert "expected train" in refused(capsys, SMALL, "--data", tmp_path / "empty", *out)
    said = refused(capsys, SMALL, "--output", finished, "--limit", 20, "--epochs", 3)
    assert "contains another experiment (epochs 2, not 3)" in said
    assert "contains other files" in refused(capsys, SMALL, "--output", knee_folder)
    (tmp_path / "file").write_text("")
    assert "not a folder" in refused(capsys, SMALL, "--output", tmp_path / "file")
    vgg16 = Experiment()
    said = refused(capsys, vgg16, "--data", knee_folder, *out, "--weights", finished / "model.h5")
    assert "another architecture" in said and "block1_conv1" in said
    assert not (tmp_path / "run").exists()
