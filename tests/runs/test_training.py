"""A whole training and a resumed one with TensorFlow's graphs, and precise batch statistics."""

import csv

import keras
import numpy as np
import pytest
from small_trainings import fit, tiny_batches, tiny_model

from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.networks.model import build_model
from knee_attention.runs.batch_statistics import MOST_KNEES, PreciseBatchNorm, estimate_statistics
from knee_attention.runs.training import compile_model


def interrupt_before_epoch(number):
    """`KneeBatches.start` that simulates Ctrl-C before the given epoch."""
    start = KneeBatches.start

    def interrupted(batches, epoch):
        if epoch == number:
            raise KeyboardInterrupt
        start(batches, epoch)

    return interrupted


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def test_history_holds_every_loss_and_accuracy(tmp_path):
    history, _ = fit(tmp_path, 2)
    assert [row["epoch"] for row in history] == [1, 2]
    for prefix in ("", "val_"):
        assert history[0][f"{prefix}loss"] == pytest.approx(
            history[0][f"{prefix}att0_loss"] + 0.8 * history[0][f"{prefix}att1_loss"], rel=1e-4
        )
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_att1_accuracy"]) for row in rows] == [
        row["val_att1_accuracy"] for row in history
    ]


def test_a_single_output_is_named_too(tmp_path):
    history, _ = fit(tmp_path, 1, outputs=["kl"])
    assert {"kl_loss", "kl_accuracy", "val_kl_loss", "val_kl_accuracy"} <= set(history[0])
    assert history[0]["val_kl_loss"] == history[0]["val_loss"]


def test_adam_has_the_paper_s_betas():
    optimizer = tiny_model().optimizer
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)


def test_gaussian_targets_have_the_true_grade_and_its_neighbours():
    model, batches = tiny_model(outputs=["kl"]), tiny_batches(["kl"])
    compile_model(model, {"kl": 1.0}, 1e-3, jit_compile=False, targets="gaussian")
    images, grades = batches.knees.images[..., np.newaxis] / 255, batches.knees.grades
    logs = model.evaluate(images, {"kl": grades}, return_dict=True, verbose=0)
    probabilities = model.predict(images, verbose=0)["kl"]
    two_off, one_off = np.exp(-8), np.exp(-2)  # of the density at the true grade
    targets = np.array([
        [1, one_off, two_off, 0, 0], [one_off, 1, one_off, two_off, 0],
        [two_off, one_off, 1, one_off, two_off], [0, two_off, one_off, 1, one_off],
        [0, 0, two_off, one_off, 1],
    ])[grades]  # fmt: skip
    targets /= targets.sum(axis=1, keepdims=True)
    expected = -(targets * np.log(probabilities)).sum(axis=1).mean()
    assert logs["loss"] == pytest.approx(expected, rel=1e-3)
    assert logs["mean_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("augment", "schedule", "dropout"), [
    ("flips", "plateau", 0), ("strong", "cosine", 0.5),
])  # fmt: skip
def test_a_continued_training_equals_an_unbroken_one(
    tmp_path, monkeypatch, augment, schedule, dropout
):
    options = {"augment": augment, "schedule": schedule}
    unbroken, model = fit(tmp_path / "unbroken", 4, tiny_model(dropout=dropout), **options)
    monkeypatch.setattr(KneeBatches, "start", interrupt_before_epoch(2))
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", 4, tiny_model(dropout=dropout), **options)
    monkeypatch.undo()
    continued, again = fit(tmp_path / "broken", 4, tiny_model(dropout=dropout), **options)
    assert without_seconds(continued) == without_seconds(unbroken)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def normalisations(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.fixture
def two_normalisations():
    """Two batch normalisations, with a convolution that halves the channels between them."""
    inputs = keras.Input((3, 3, 4))
    x = keras.layers.BatchNormalization(name="first")(inputs)
    x = keras.layers.Conv2D(2, 1, name="between")(x)
    x = keras.layers.BatchNormalization(name="second")(x)
    return keras.Model(inputs, x)


def test_statistics_are_those_of_all_images_seen_in_training_mode(two_normalisations):
    model = two_normalisations
    generator = np.random.default_rng(0)
    batches = [generator.normal(3, 2, size=(6, 3, 3, 4)).astype("float32") for _ in range(4)]
    model.get_layer("between").set_weights([generator.normal(size=(1, 1, 4, 2)), np.ones(2)])
    trainable = [weight.numpy().copy() for weight in model.trainable_weights]
    estimate_statistics(model, batches)

    everything = np.concatenate(batches)
    first, second = normalisations(model)
    np.testing.assert_allclose(first.moving_mean, everything.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(first.moving_variance, everything.var((0, 1, 2)), rtol=1e-4)

    kernel, bias = model.get_layer("between").get_weights()
    between = []
    for batch in batches:
        variance = batch.var((0, 1, 2))
        normalised = (batch - batch.mean((0, 1, 2))) / np.sqrt(variance + first.epsilon)
        between.append(normalised @ kernel[0, 0] + bias)
    between = np.concatenate(between)
    np.testing.assert_allclose(second.moving_mean, between.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(second.moving_variance, between.var((0, 1, 2)), rtol=1e-4)

    for weight, before in zip(model.trainable_weights, trainable, strict=True):
        np.testing.assert_array_equal(weight, before)
    assert [layer.momentum for layer in normalisations(model)] == [0.99, 0.99]


@pytest.mark.parametrize("spread", [0.0, 1e-3, 0.01])
def test_a_small_variance_is_not_made_larger(two_normalisations, spread):
    """The estimate does not add epsilon, as the layer does. A constant channel has the variance 0,
    not a negative one from rounding.
    """
    generator = np.random.default_rng(0)
    batches = [generator.normal(0, spread, size=(6, 3, 3, 4)).astype("float32") for _ in range(3)]
    for mean in (0.0, 1.0, 1000.1):
        estimate_statistics(two_normalisations, [batch + np.float32(mean) for batch in batches])
        first = normalisations(two_normalisations)[0]
        variance = keras.ops.convert_to_numpy(first.moving_variance)
        assert (variance >= 0).all()
        if mean == 0:
            expected = np.concatenate(batches).var((0, 1, 2))
            np.testing.assert_allclose(variance, expected, rtol=1e-3, atol=1e-9)


def test_momenta_come_back_after_an_error(two_normalisations):
    with pytest.raises(Exception, match="."):
        estimate_statistics(two_normalisations, [np.zeros((1, 5, 5, 9))])
    assert [layer.momentum for layer in normalisations(two_normalisations)] == [0.99, 0.99]


def test_every_normalisation_of_resnet50_is_estimated():
    model = build_model("resnet50", ("att0",), "single", (64, 64))
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 1)).astype("uint8")
    estimate_statistics(model, [images])
    assert len(normalisations(model)) > 20
    assert all(np.abs(layer.moving_mean).max() > 0 for layer in normalisations(model))


def knees_like(images):
    count = len(images)
    return Knees(images, np.arange(count) % 5, [""] * count, [""] * count)


def test_a_quarter_of_an_epoch_is_enough_and_large_sets_are_capped():
    def steps(count, batch_size):
        knees = knees_like(np.zeros((count, 1, 1), np.uint8))
        return PreciseBatchNorm(KneeBatches(knees, ["att0"], batch_size)).steps

    assert steps(400, 40) == 2
    assert steps(400, 4) == 3
    assert steps(5, 64) == 1
    assert steps(100_000, 64) == MOST_KNEES / 64 == 32


def test_fit_validates_with_the_estimated_statistics():
    """With pixels near 200, moving statistics that start at 0 are far off after a short epoch."""
    images = np.random.default_rng(0).normal(200, 5, (64, 4, 4)).astype(np.uint8)
    training = KneeBatches(knees_like(images), ["att0"], 16, training=True)
    inputs = keras.Input((4, 4, 1))
    normalised = keras.layers.BatchNormalization()(inputs)
    flat = keras.layers.Flatten()(normalised)
    model = keras.Model(inputs, {"att0": keras.layers.Dense(5, "softmax", name="att0")(flat)})
    seen = []

    class WhatValidationSees(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            seen.append(float(normalisations(model)[0].moving_mean[0]))

    model.compile("sgd", {"att0": "sparse_categorical_crossentropy"})
    callbacks = [PreciseBatchNorm(training), WhatValidationSees()]
    model.fit(training, validation_data=training, callbacks=callbacks, verbose=0)
    assert abs(seen[0] - images.mean()) < 1
