"""The localiser's network: its size, its loss, and the file that OpenCV runs."""

import keras
import numpy as np
import pytest

from knee_attention.films.localiser import Localiser
from knee_attention.networks.localiser import build_localiser, convolution_weights, line_loss


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = build_localiser("float32")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([
                rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.3, beta.shape),
                rng.normal(0, 0.3, mean.shape), rng.uniform(0.5, 1.5, variance.shape),
            ])  # fmt: skip
    return model


def test_the_convolutions_have_the_weights_of_the_paper(model):
    assert convolution_weights(model) == 212_769
    assert model.output_shape == (None, 256, 256, 1)


def test_opencv_says_what_keras_says(model, tmp_path):
    pytest.importorskip("onnx")
    from knee_attention.networks.files.localiser_onnx import export_localiser

    export_localiser(model, tmp_path / "localiser.onnx")
    assert (tmp_path / "localiser.onnx").stat().st_size < 1_000_000
    film = np.random.default_rng(1).integers(0, 256, (256, 256)).astype(np.uint8)
    expected = model(film[np.newaxis, ..., np.newaxis].astype(np.float32))
    found = Localiser(tmp_path / "localiser.onnx").line_map(film)
    np.testing.assert_allclose(found, np.asarray(expected)[0, ..., 0], atol=1e-4)


def test_the_loss_by_hand():
    lines = np.zeros((2, 4, 4, 1), np.float32)
    lines[:, 1] = 1
    maps = np.stack([lines[0], np.full((4, 4, 1), 0.5)]).astype(np.float32)
    perfect, undecided = np.asarray(line_loss(lines, maps))
    assert perfect == pytest.approx(0, abs=1e-5)
    dice = (2 * 4 * 0.5 + 50) / (4 + 8 + 50)
    assert undecided == pytest.approx(np.log(2) + 1 - dice, rel=1e-4)
