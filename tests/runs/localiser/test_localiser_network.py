"""The localiser's networks: size, loss, and the ONNX file for OpenCV."""

import keras
import numpy as np
import pytest

from knee_attention.films.localiser import Localiser
from knee_attention.runs.localiser.network import (
    TARGETS,
    build_antony_localiser,
    build_localiser,
    convolution_weights,
    localiser_loss,
)


def with_other_statistics(model):
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([
                rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.3, beta.shape),
                rng.normal(0, 0.3, mean.shape), rng.uniform(0.5, 1.5, variance.shape),
            ])  # fmt: skip
    return model


def test_antony_s_convolutions_have_the_weights_of_the_paper():
    model = build_antony_localiser("float32")
    assert convolution_weights(model) == 212_769
    assert model.output_shape == (None, 256, 256, 1)


def test_the_shipped_network_is_small():
    model = build_localiser("float32")
    assert convolution_weights(model) == 234_149
    assert model.output_shape == (None, 32, 32, 5)


def test_opencv_says_what_keras_says(tmp_path):
    pytest.importorskip("onnx")
    from knee_attention.runs.localiser.onnx_file import export_localiser

    keras.utils.set_random_seed(0)
    model = with_other_statistics(build_localiser("float32"))
    export_localiser(model, tmp_path / "localiser.onnx")
    assert (tmp_path / "localiser.onnx").stat().st_size < 1_000_000
    film = np.random.default_rng(1).integers(0, 256, (256, 256, 2)).astype(np.uint8)
    expected = np.asarray(model(film[np.newaxis].astype(np.float32)))[0]
    found = Localiser(tmp_path / "localiser.onnx").maps(film)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def targets(**values):
    found = np.zeros((1, 2, 2, len(TARGETS)), np.float32)
    for name, value in values.items():
        found[..., TARGETS.index(name)] = value
    return found


def loss(maps, **values):
    return float(localiser_loss(targets(**values), np.asarray(maps, np.float32)[np.newaxis])[0])


def test_the_loss_of_joints_by_hand():
    joint = [[1, 0.5], [0, 0]]
    maps = np.zeros((2, 2, 5))  # all probabilities of a joint are 0.5
    maps[..., 4] = -30
    expected = np.log(2) / 4 * (1 + 0.5**4 + 1 + 1)
    assert loss(maps, joint=joint, counts=1) == pytest.approx(expected, rel=1e-5)
    ignored = [[1, 1], [0, 0]]
    expected = np.log(2) / 4 * (1 + 0.5**4)
    assert loss(maps, joint=joint, counts=ignored) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_boxes_counts_near_a_joint_alone():
    maps = np.zeros((2, 2, 5))
    maps[..., 0] = [[30, -30], [-30, -30]]  # the right cell, with high confidence
    maps[..., 1:4], maps[..., 4] = 0.5, -30
    truth = {"joint": [[1, 0], [0, 0]], "counts": 1, "right": 0.25, "down": 0.5, "side": 1.0}
    assert loss(maps, **truth) == pytest.approx(4 * 0.25 + 2 * 0.5, rel=1e-5)


def test_the_loss_of_implants_by_hand():
    maps = np.zeros((2, 2, 5))
    maps[..., 0], maps[..., 4] = -30, [[3, -3], [-3, -3]]
    right = np.log1p(np.exp(-3))  # the loss of a right cell with a confidence of 95%
    where = loss(maps, implant=[[1, 0], [0, 0]], implant_counts=1, counts=1, implanted=1)
    assert where == pytest.approx(4 * right / 8 + right, rel=1e-4)
    assert loss(maps, implanted=1) == pytest.approx(right, rel=1e-4)
    assert loss(maps, implanted=0) == pytest.approx(3 + right, rel=1e-4)
