"""Stability training: nearer features, untouched branches, what a killed one resumes, refusals."""

import csv
import json
from collections import Counter

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
from knee_attention.networks.taps import TappedNetwork
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs import stability
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run import _build
from knee_attention.runs.stability import CorruptedCrops, RelativeError, corrupted, stabilise

SIZE, CROP = (64, 64), (48, 48)


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


def error_of(model: keras.Model, wanted: TappedNetwork, knees: Knees) -> float:
    """The error of a model's features of corrupted whole knees."""
    crops = CorruptedCrops(knees, "hist", SIZE, wanted.below.predict_on_batch, seed=9)
    images, features = crops[0]
    found = TappedNetwork(model).below.predict_on_batch(images)
    return sum(float(RelativeError()(features[branch], found[branch])) for branch in features)


def train(model: keras.Model, knees: Knees, state, rounds: int) -> None:
    stabilise(model, knees, "hist", CROP, state, rounds)


def test_features_of_corrupted_knees_come_nearer_and_branches_stay(knees, tmp_path):
    model, before = network(), TappedNetwork(network())
    first, branches = error_of(model, before, knees), before.above.get_weights()
    train(model, knees, tmp_path / "state.h5", rounds=12)
    after = error_of(model, before, knees)
    assert after < 0.85 * first, (first, after)
    for ours, theirs in zip(TappedNetwork(model).above.get_weights(), branches, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    frozen, trained = model.get_layer("normalised"), before.model.get_layer("normalised")
    for ours, theirs in zip(frozen.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


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


def test_clean_and_corrupted_crops_show_the_same_place():
    smooth = np.tile(np.arange(0, 192, 3, dtype=np.uint8), (4, 64, 1))
    knees = Knees(smooth, np.zeros(4, int), [], [])
    images, clean = CorruptedCrops(knees, "none", CROP, lambda clean: clean, seed=0)[0]
    assert len({tuple(crop[0, :, 0]) for crop in clean}) > 3  # other places, mirrored or not
    for ours, theirs in zip(images, clean, strict=True):
        assert ours.mean() == pytest.approx(theirs.mean(), abs=5)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.6


def test_half_of_the_crops_get_noise_a_quarter_are_blurred_and_a_quarter_compressed(
    knees, monkeypatch
):
    seen = Counter()

    def counted(name, holder, function):
        def count(*arguments):
            seen[name] += 1
            return function(*arguments)

        monkeypatch.setattr(holder, name, count)

    counted("noise", stability, stability.noise)
    counted("jpeg", stability, stability.jpeg)
    counted("GaussianBlur", stability.cv2, stability.cv2.GaussianBlur)
    generator = np.random.default_rng(0)
    for _ in range(400):
        corrupted(knees.images[0], generator)
    assert seen["noise"] == pytest.approx(200, abs=40)
    assert seen["GaussianBlur"] == pytest.approx(100, abs=40)
    assert seen["jpeg"] == pytest.approx(100, abs=40)


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


def test_epochs_0_needs_a_model_with_the_same_heads(tmp_path):
    model = build_model("antony_clsf", ("att1", "att2"), image_size=(96, 96))
    save_model(model, tmp_path / "multi.h5", {})
    fused = Experiment("antony_clsf", ("att1", "att2"), "early_fusion", image_size=(96, 96),
                       epochs=0, weights=str(tmp_path / "multi.h5"))  # fmt: skip
    with pytest.raises(InputError, match="has no weights for .*kl, and --epochs 0 trains none"):
        _build(fused, None, "float32")
