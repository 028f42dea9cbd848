"""Related systems: parameters, attention by hand, shared patches, files, and refusals."""

import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment


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
