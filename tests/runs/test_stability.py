"""Stability training: nearer grades and features, what a killed one resumes, refusals."""

import csv
import json

import keras
import numpy as np
import pytest
from keras import layers
from small_trainings import ONE, results_of, run

from knee_attention import attach_attention
from knee_attention.datasets.knees import Knees
from knee_attention.errors import InputError
from knee_attention.networks.files.model_files import load_model, save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs import stability
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run import _build
from knee_attention.runs.stability import (
    FEATURES,
    CorruptedKnees,
    RelativeError,
    _with_features,
    stabilise,
    targets_of,
)

SIZE = (64, 64)


@pytest.fixture(scope="module")
def knees() -> Knees:
    """Knees that are not equalised."""
    return phantom_dataset(SIZE, limit=10, equalization="none").splits["train"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Few steps, which learn fast."""
    monkeypatch.setattr(stability, "ROUND", 5)
    monkeypatch.setattr(stability, "LEARNING_RATE", 1e-3)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    knees = keras.Input((*SIZE, 1))
    x = layers.Conv2D(8, 5, strides=2, padding="same", name="first")(layers.Rescaling(0.01)(knees))
    x = layers.BatchNormalization(name="normalised")(x)
    x = layers.MaxPooling2D(2, name="shallow")(layers.ReLU()(x))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="second")(x)
    model = keras.Model(knees, layers.MaxPooling2D(2, name="deep")(x))
    return attach_attention(model, {"att0": "shallow", "att1": "deep"})


def errors_of(model: keras.Model, before: keras.Model, knees: Knees) -> tuple[float, float]:
    """The errors of a model's features and outputs of corrupted knees."""
    batches = CorruptedKnees(knees, "hist", targets_of(_with_features(before)), seed=9)
    network, errors = _with_features(model), [0.0, 0.0]
    for images, wanted, weights in (batches[place] for place in range(8)):
        found = network.predict_on_batch(images)
        for name in found:
            tap = name.endswith(FEATURES)
            loss = RelativeError() if tap else keras.losses.KLDivergence()
            errors[not tap] += float(loss(wanted[name], found[name], weights[name]))
    return tuple(errors)


def train(model: keras.Model, knees: Knees, state, rounds: int) -> None:
    stabilise(model, knees, "hist", state, rounds)


def test_corrupted_knees_get_nearer_features_and_grades(knees, tmp_path):
    model, before = network(), network()
    first = errors_of(model, before, knees)
    train(model, knees, tmp_path / "state.h5", rounds=20)
    after = errors_of(model, before, knees)
    assert after[0] < 0.95 * first[0], (first, after)
    assert after[1] < 0.95 * first[1], (first, after)
    frozen, trained = (one.get_layer("normalised") for one in (model, before))
    for ours, theirs in zip(frozen.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_targets_are_the_mean_over_a_knee_and_its_mirror_image(knees):
    values = targets_of(_with_features(network()))
    clean = knees.images[np.arange(4)][..., np.newaxis]
    ours, mirrored = values(clean), values(clean[:, :, ::-1])
    for name in ("att0", "att1"):
        np.testing.assert_allclose(ours[name], mirrored[name], rtol=1e-4)
        assert not np.allclose(ours[name + FEATURES], mirrored[name + FEATURES])


def test_a_teacher_of_another_grade_is_imitated(knees, tmp_path):
    model, teacher = network(), network()
    last = teacher.get_layer("att1")
    last.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in last.get_weights()])
    first = errors_of(model, teacher, knees)
    stabilise(model, knees, "hist", tmp_path / "state.h5", 20, teacher=teacher)
    assert errors_of(model, teacher, knees)[1] < 0.8 * first[1]


def test_a_killed_training_ends_as_an_unbroken_one(knees, tmp_path, monkeypatch):
    unbroken, resumed, state = network(), network(), tmp_path / "state.h5"
    train(unbroken, knees, tmp_path / "unbroken.h5", rounds=3)

    def kill(shown, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(stability.Rounds, "on_epoch_begin", kill)
        patch.setattr(stability.Rounds, "_began", 0.0, raising=False)  # `kill` sets no time
        train(resumed, knees, state, rounds=3)
    train(resumed, knees, state, rounds=3)
    for ours, theirs in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    again = network()
    train(again, knees, state, rounds=3)  # killed after the last round: nothing is left to train
    for ours, theirs in zip(again.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    state.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"state.h5: .*start again with --overwrite"):
        train(again, knees, state, rounds=3)


def test_a_loss_that_is_no_number_is_refused_and_not_saved(knees, tmp_path, monkeypatch):
    monkeypatch.setattr(stability, "LEARNING_RATE", float("nan"))
    with pytest.raises(InputError, match="round 1: the loss is not finite"):
        train(network(), knees, tmp_path / "state.h5", rounds=2)
    assert not (tmp_path / "state.h5").exists()


def test_features_count_only_if_a_knee_was_not_moved(monkeypatch):
    smooth = np.tile(np.arange(0, 192, 3, dtype=np.uint8), (4, 64, 1))
    knees = Knees(smooth, np.zeros(4, int), [], [])
    monkeypatch.setattr(stability, "BATCH", 60)
    batches = CorruptedKnees(
        knees, "none", lambda clean: {"att1": clean, "att1_features": clean}, seed=0
    )
    images, values, weights = batches[0]
    assert weights["att1"].tolist() == [1] * 60
    assert weights["att1_features"].sum() == pytest.approx(45, abs=12)
    clean = values["att1"].astype(float)
    for ours, theirs, weight in zip(images, clean, weights["att1_features"], strict=True):
        if weight:  # both are mirrored or none
            assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.6
    mirrored = clean[:, 0, 0] > clean[:, 0, -1]
    assert mirrored.mean() == pytest.approx(0.5, abs=0.25)


def test_epochs_0_measures_a_model_as_it_is(tmp_path):
    run(ONE, "--limit", 20, "--output", tmp_path / "first")
    weights = tmp_path / "first" / "model.h5"
    run(ONE, "--limit", 10, "--epochs", 0, "--weights", weights, "--output", tmp_path / "again")
    assert results_of(tmp_path / "again")["epochs"] == 0
    first, again = (load_model(tmp_path / name) for name in ("first", "again"))
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 1), np.uint8)
    np.testing.assert_array_equal(first.predict_on_batch(images)["att1"],
                                  again.predict_on_batch(images)["att1"])  # fmt: skip


def test_a_run_with_stability_keeps_no_state_and_takes_no_more_epochs(tmp_path, capsys, refused):
    once = ["--limit", 10, "--stability", 1, "--output", tmp_path / "run", "--epochs"]
    run(ONE, *once, 1)
    assert "stability training, round 1 of 1" in capsys.readouterr().out
    assert not (tmp_path / "run" / "stability.h5").exists()
    with (tmp_path / "run" / "history.csv").open(newline="") as file:
        epochs = sum(float(row["seconds"]) for row in csv.DictReader(file))
    times = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert epochs + 0.1 < times["training_seconds"] < times["wall_seconds"]
    said = refused(lambda *arguments: run(ONE, *arguments), *once, 2)
    assert "its stability training follows epoch 1" in said


def test_a_teacher_is_a_model_of_the_same_heads_elsewhere(tmp_path, refused):
    run(ONE, "--limit", 10, "--epochs", 1, "--output", tmp_path / "first")
    weights = tmp_path / "first" / "model.h5"

    def taught(teacher, *more):
        run(ONE, "--limit", 10, "--epochs", 0, "--weights", weights, "--stability", 1,
            "--teacher", teacher, *more)  # fmt: skip

    taught(weights, "--output", tmp_path / "second")
    held = json.loads((tmp_path / "second" / "experiment.json").read_text())
    assert held["teacher"] == str(weights)
    assert "no such model" in refused(taught, tmp_path / "none.h5", "--output", tmp_path / "third")
    over = refused(taught, tmp_path / "second" / "model.h5", "--overwrite", "--output",
                   tmp_path / "second")  # fmt: skip
    assert "--overwrite would delete the input" in over


def test_epochs_0_needs_a_model_with_the_same_heads(tmp_path):
    model = build_model("antony_clsf", ("att1", "att2"), image_size=(96, 96))
    save_model(model, tmp_path / "multi.h5", {})
    fused = Experiment("antony_clsf", ("att1", "att2"), "early_fusion", image_size=(96, 96),
                       epochs=0, weights=str(tmp_path / "multi.h5"))  # fmt: skip
    with pytest.raises(InputError, match="has no weights for .*kl, and no epoch trains them"):
        _build(fused, None, "float32")
