"""Baselines of Table 2 and related systems: parameters, outputs, files, and refusals."""

import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.fusions import FUSIONS
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
    model = keras.Model(inputs, FUSIONS[kind].build(inputs))
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


def trained_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.fixture(scope="module")
def jetley():
    return build_model("jetley", (), "plain", (64, 64))


@pytest.fixture(scope="module")
def tiulpin():
    return build_model("tiulpin", (), "plain", (300, 300))


def test_parameters(jetley, tiulpin):
    """Tiulpin et al. 2018 have 595,077; VGG-16's convolutions on grey images 14,713,536."""
    assert trained_parameters(tiulpin) == 595_077
    head = 512 * 5 + 5
    plain = build_model("vgg16_plain", (), "plain", (64, 64))
    assert trained_parameters(plain) == 14_713_536 + head
    projection, scores = 256 * 512 + 512, 3 * 512
    assert trained_parameters(jetley) == 14_713_536 + projection + scores + 3 * 512 * 5 + 5


def test_each_block_is_the_sum_of_its_features_weighted_by_a_softmax(jetley):
    """Jetley et al. 2018, equations 1 to 3: c = <u, l + g>, a = softmax(c), the sum of a * l."""
    names = ["att_block3_projected", "block4_conv3", "block5_conv3", "global_features", "attended"]
    inner = keras.Model(jetley.input, [jetley.get_layer(name).output for name in names])
    knees = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1))
    *blocks, pooled, attended = map(keras.ops.convert_to_numpy, inner(knees))
    expected = []
    for block, local in zip(("block3", "block4", "block5"), blocks, strict=True):
        [direction] = jetley.get_layer(f"att_{block}_scores").get_weights()
        scores = ((local + pooled) @ direction[0, 0])[..., 0]
        weights = np.exp(scores) / np.exp(scores).sum(axis=(1, 2), keepdims=True)
        expected.append((weights[..., np.newaxis] * local).sum(axis=(1, 2)))
    np.testing.assert_allclose(attended, np.concatenate(expected, axis=1), rtol=1e-3, atol=1e-5)


def test_both_patches_pass_the_same_layers_and_the_second_is_mirrored(tiulpin):
    features = keras.Model(tiulpin.input, tiulpin.get_layer("patches").output)
    knees = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 1)).astype(np.float32)
    first = keras.ops.convert_to_numpy(features(knees))
    swapped = keras.ops.convert_to_numpy(features(knees[:, :, ::-1]))
    np.testing.assert_allclose(swapped, np.roll(first, 256, axis=1), atol=1e-5)
    outside = knees.copy()
    outside[:, :100] = outside[:, 228:] = outside[:, :, 128:172] = 0
    np.testing.assert_allclose(first, keras.ops.convert_to_numpy(features(outside)), atol=1e-5)


@pytest.mark.parametrize("name", ["jetley", "tiulpin"])
def test_a_saved_network_is_the_same(name, request, tmp_path):
    model = request.getfixturevalue(name)
    save_model(model, tmp_path / "model.h5", {"name": name})
    loaded, known = load_model(tmp_path / "model.h5"), read_description(tmp_path / "model.h5")
    assert (known["backbone"], known["fusion"], known["branches"]) == (name, "plain", [])
    knees = np.random.default_rng(0).integers(0, 256, (1, *model.input.shape[1:]))
    np.testing.assert_array_equal(loaded(knees)["kl"], model(knees)["kl"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"backbone": "tiulpin", "fusion": "plain", "image_size": (112, 112)}, "300x300 pixels"),
        ({"backbone": "tiulpin", "fusion": "dense", "image_size": (300, 300)}, "expected 'plain'"),
        ({"backbone": "antony_clsf_baseline", "fusion": "plain"}, "expected 'dense'"),
    ],
)
def test_other_sizes_and_heads_are_refused(asked, said):
    with pytest.raises(InputError, match=said):
        Experiment(branches=(), **asked)
