"""Stability training: nearer features, untouched branches, what a killed call resumes, refusals."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from small_trainings import ONE, results_of, run

from knee_attention.datasets.knees import Knees
from knee_attention.errors import InputError
from knee_attention.networks.files.model_files import load_model
from knee_attention.networks.model import build_model
from knee_attention.networks.taps import TappedNetwork
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs import stability
from knee_attention.runs.stability import CorruptedCrops, RelativeError, corrupted, stabilise

SIZE, CROP = (112, 112), (96, 96)


@pytest.fixture(scope="module")
def knees() -> Knees:
    """Knees that are not equalised."""
    return phantom_dataset(SIZE, limit=10, equalization="none").splits["train"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Few steps, which learn fast."""
    monkeypatch.setattr(stability, "ROUND", 4)
    monkeypatch.setattr(stability, "LEARNING_RATE", 2e-4)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_model("antony_clsf", ("att1", "att2"), image_size=SIZE, precision="float32")


def error_of(model: keras.Model, wanted: TappedNetwork, knees: Knees) -> float:
    """The error of a model's features of corrupted whole knees."""
    crops = CorruptedCrops(knees, "hist", SIZE, wanted.below.predict_on_batch, seed=9)
    images, features = crops[0]
    found = TappedNetwork(model).below.predict_on_batch(images)
    return sum(float(RelativeError()(features[branch], found[branch])) for branch in features)


def test_features_of_corrupted_knees_come_nearer_and_branches_stay(knees, tmp_path):
    model, before = network(), TappedNetwork(network())
    first, branches = error_of(model, before, knees), before.above.get_weights()
    stabilise(model, knees, "hist", CROP, tmp_path, rounds=10)
    after = error_of(model, before, knees)
    assert after < 0.85 * first, (first, after)
    for ours, theirs in zip(TappedNetwork(model).above.get_weights(), branches, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_killed_training_ends_as_an_unbroken_one(knees, tmp_path, monkeypatch):
    unbroken, resumed = network(), network()
    stabilise(unbroken, knees, "hist", CROP, tmp_path / "unbroken", rounds=3)

    def kill(shown, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stability.ShownRounds, "on_epoch_begin", kill)
        stabilise(resumed, knees, "hist", CROP, tmp_path / "resumed", rounds=3)
    stabilise(resumed, knees, "hist", CROP, tmp_path / "resumed", rounds=3)
    for ours, theirs in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_clean_and_corrupted_crops_show_the_same_place(knees):
    smooth = np.tile(np.arange(0, 224, 2, dtype=np.uint8), (112, 1))
    crops = CorruptedCrops(replace(knees, images=np.stack([smooth] * len(knees))), "none",
                           (48, 48), lambda clean: clean, seed=0)  # fmt: skip
    images, clean = crops[0]
    assert len({tuple(crop[0, :, 0]) for crop in clean}) > 3  # at different places, mirrored or not
    for ours, theirs in zip(images, clean, strict=True):
        assert ours.mean() == pytest.approx(theirs.mean(), abs=4)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.6


def test_every_kind_of_corruption_occurs_and_none_fails(knees):
    generator = np.random.default_rng(0)
    knee = knees.images[0]
    changes = [np.abs(corrupted(knee, generator).astype(float) - knee).mean() for _ in range(60)]
    assert min(changes) < 1 and max(changes) > 8


def test_epochs_0_measures_the_weights_as_they_are_and_stability_changes_them(tmp_path, capsys):
    run(ONE, "--limit", 10, "--epochs", 1, "--output", tmp_path / "first")
    weights = tmp_path / "first" / "model.h5"
    again = ["--limit", 10, "--epochs", 0, "--weights", weights]
    run(ONE, *again, "--output", tmp_path / "again")
    first, second = (results_of(tmp_path / name) for name in ("first", "again"))
    assert first["validation"] == second["validation"] and second["epochs"] == 0
    run(ONE, *again, "--stability", 1, "--output", tmp_path / "stable")
    assert "stability training, round 1 of 1" in capsys.readouterr().out
    before, after = (load_model(tmp_path / name) for name in ("first", "stable"))
    assert not np.array_equal(before.get_layer("conv1").get_weights()[0],
                              after.get_layer("conv1").get_weights()[0])  # fmt: skip
    assert not (tmp_path / "stable" / "stability").exists()
    with pytest.raises(SystemExit):
        run(ONE, *again[:2], "--epochs", 1, "--weights", weights, "--stability", 1, "--output",
            tmp_path / "stable")  # fmt: skip
    assert "its stability training follows epoch 0" in capsys.readouterr().err


@pytest.mark.parametrize("changes, message", [
    ({"backbone": "vgg16_plain", "branches": (), "fusion": "plain", "stability": 1},
     "--stability needs attention branches, which vgg16_plain lacks"),
    ({"stability": -1}, "a whole number from 0 as stability"),
    ({"epochs": 0}, "--epochs 0 trains nothing, so it needs the --weights of a trained model"),
])  # fmt: skip
def test_what_cannot_run_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        replace(ONE, **changes)
