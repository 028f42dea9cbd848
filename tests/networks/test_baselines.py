"""The baselines of Table 2: parameters, outputs, losses and training."""

import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.baselines import dense_classifier, joint_heads
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.training import compile_model, rounds_to

JOINT = ("antony_joint_baseline", (), "joint", (96, 96))


def test_the_classification_network_has_the_published_number_of_parameters():
    """With the localiser's 212,769 weights the total is 7,518,086: 7.51 M in the paper."""
    model = build_model("antony_clsf_baseline", (), "dense", (200, 300))
    assert model.count_params() == 7_305_317


def test_the_joint_network_as_it_is_built_here():
    """The paper says 5.77 M, but Table 4 gives another number with 2x2 and with 3x3 pools."""
    model = build_model("antony_joint_baseline", (), "joint", (200, 300))
    assert model.count_params() == 3_998_598


@pytest.mark.parametrize(("units", "kind"), [(512, "joint"), (1024, "dense")])
def test_three_tenths_of_the_hidden_units_are_dropped_in_training_alone(units, kind):
    """Antony et al., MLDM 2017: a dropout of 0.3 after the dense layer and its ReLU."""
    inputs = keras.Input((2, 2, 3))
    if kind == "joint":
        outputs = joint_heads(inputs, "kl", "regression")
    else:
        outputs = dense_classifier(inputs, "kl")
    model = keras.Model(inputs, outputs)
    dropout = model.get_layer("dropout")
    assert dropout.rate == 0.3
    hidden = keras.Model(inputs, dropout.output)
    images = np.random.default_rng(0).normal(size=(4, 2, 2, 3))
    kernel, bias = model.get_layer("dense").get_weights()
    expected = np.maximum(images.reshape(4, -1) @ kernel + bias, 0)
    assert expected.shape == (4, units)
    graded = keras.ops.convert_to_numpy(hidden(images, training=False))
    np.testing.assert_allclose(graded, expected, atol=1e-5)
    trained = keras.ops.convert_to_numpy(hidden(images, training=True))
    dropped = (trained == 0)[expected > 0].mean()
    assert 0.2 < dropped < 0.4


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_saved_baseline_is_the_same(tmp_path, suffix):
    model = build_model(*JOINT)
    save_model(model, tmp_path / f"model{suffix}", {"name": "joint"})
    loaded = load_model(tmp_path / f"model{suffix}")
    known = read_description(tmp_path / f"model{suffix}")
    assert (known["backbone"], known["fusion"], known["branches"]) == (JOINT[0], "joint", [])
    knees = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 1))
    for output, values in model.predict(knees, verbose=0).items():
        np.testing.assert_array_equal(loaded.predict(knees, verbose=0)[output], values)


def test_both_losses_count_by_half_and_are_measured(small_knees):
    images, grades = small_knees
    model = build_model(*JOINT)
    compile_model(model, {"kl": 0.5, "regression": 0.5}, 1e-3, jit_compile=False)
    targets = {"kl": grades, "regression": grades}
    logs = model.evaluate(images, targets, batch_size=len(images), return_dict=True, verbose=0)
    values = model.predict(images, verbose=0)
    squared = np.mean((values["regression"][:, 0] - grades) ** 2)
    entropy = -np.log(values["kl"][np.arange(len(grades)), grades]).mean()
    assert logs["regression_mean_loss"] == pytest.approx(squared, rel=1e-4)
    assert logs["kl_mean_loss"] == pytest.approx(entropy, rel=1e-4)
    right = (np.clip(np.round(values["regression"][:, 0]), 0, 4) == grades).mean()
    assert logs["regression_accuracy"] == pytest.approx(right)
    assert logs["loss"] == pytest.approx((squared + entropy) / 2, rel=1e-4)


def test_a_regression_is_right_where_it_rounds_to_the_grade():
    values = np.array([[-0.7], [0.6], [2.4], [5.2], [3.4]], np.float32)
    right = rounds_to(np.array([0, 1, 3, 4, 3]), values)
    assert np.asarray(right).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize(
    "asked",
    [
        {"backbone": "antony_clsf_baseline", "branches": ("att0",), "fusion": "single"},
        {"backbone": "vgg16", "branches": (), "fusion": "dense"},
        {"backbone": "antony_clsf_baseline", "branches": (), "fusion": "multi_loss"},
    ],
)
def test_attention_and_baselines_are_not_mixed(asked):
    with pytest.raises(InputError, match="branch"):
        Experiment(**asked)
