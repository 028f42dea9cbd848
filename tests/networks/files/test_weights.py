"""Weights to start from, float16 files, and files that were replaced."""

import os

import cv2
import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.attention import masks_among, with_masks
from knee_attention.networks.files.copies import write_half_size
from knee_attention.networks.files.initial_weights import (
    IMAGENET_PIXELS,
    input_channels,
    pixels_of_colour,
    read_weights,
    resize_mask_weights,
    set_weights_by_layer,
)
from knee_attention.networks.files.location import file_digest, refuse_replaced
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.model import build_model


@pytest.fixture
def notop(tmp_path):
    """A Keras 2 weights file of VGG-16 without its top, for colour images."""
    network = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16_notop.h5"
    network.save(path, include_optimizer=False)
    return path, network


def test_a_notop_file_is_loaded_by_layer(notop):
    path, network = notop
    weights = read_weights(path)
    assert input_channels(weights) == 3
    model = build_model(image_size=(64, 64), channels=3)
    assert "block4_conv3" in set_weights_by_layer(model, weights, str(path))
    for name in ("block1_conv1", "block4_conv3"):
        for ours, theirs in zip(
            model.get_layer(name).get_weights(), network.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_own_models_are_loaded_heads_and_masks_of_another_size_included(tmp_path, suffix):
    before = build_model("antony_clsf", ("att1",), "single", (96, 96))
    before.save(tmp_path / f"model{suffix}", include_optimizer=False)
    weights = read_weights(tmp_path / f"model{suffix}")
    after = build_model("antony_clsf", ("att1",), "single", (128, 96))
    taken = set_weights_by_layer(after, weights, "file")
    assert {"att1", "att1_conv1", "att1_mask"} <= set(taken)
    kernel, bias = weights["att1_mask"]
    resized = resize_mask_weights([kernel, bias], (7, 5))
    for ours, given in zip(after.get_layer("att1_mask").get_weights(), resized, strict=True):
        np.testing.assert_array_equal(ours, given)


def test_masks_are_resized_bilinearly_from_grid_to_grid():
    bias = np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)[..., np.newaxis]
    kernel = np.stack([bias.reshape(4), -10 * bias.reshape(4)], axis=1)[..., np.newaxis]
    resized_kernel, resized_bias = resize_mask_weights([kernel, bias], (2, 4))
    np.testing.assert_allclose(resized_bias[..., 0], [[0, 0.25, 0.75, 1], [2, 2.25, 2.75, 3]])
    np.testing.assert_allclose(resized_kernel[:, 0, 0], resized_bias.reshape(8))
    np.testing.assert_allclose(resized_kernel[:, 1, 0], -10 * resized_bias.reshape(8))
    same_kernel, same_bias = resize_mask_weights([kernel, bias], (2, 2))
    np.testing.assert_array_equal(same_kernel, kernel)
    np.testing.assert_array_equal(same_bias, bias)


def test_masks_of_half_precision_are_resized():
    kernel, bias = np.ones((4, 16, 1), np.float16), np.ones((2, 2, 1), np.float16)
    for values in resize_mask_weights([kernel, bias], (3, 4)):
        assert values.dtype == np.float32 and (values == 1).all()


def test_a_resized_model_looks_where_the_small_one_looked():
    small = build_model("antony_clsf", ("att1",), "single", (96, 96))
    generator = np.random.default_rng(0)
    mask = small.get_layer("att1_mask")
    kernel, bias = mask.get_weights()
    bias[1:4, 2:4] = 4.0
    mask.set_weights([kernel, bias])
    large = build_model("antony_clsf", ("att1",), "single", (192, 192))
    weights = {layer.name: layer.get_weights() for layer in small.layers if layer.weights}
    set_weights_by_layer(large, weights, "small")
    knee = cv2.resize(generator.integers(0, 255, (12, 12)).astype(np.uint8), (192, 192))
    seen = {}
    for model, size in ((small, 96), (large, 192)):
        image = cv2.resize(knee, (size, size))[np.newaxis, ..., np.newaxis]
        seen[size] = masks_among(with_masks(model).predict(image, verbose=0))["att1"][0]
    shrunk = cv2.resize(seen[192], seen[96].shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), seen[96].ravel())[0, 1] > 0.9


def test_other_branches_are_refused():
    weights = {
        layer.name: layer.get_weights()
        for layer in build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96)).layers
        if layer.weights
    }
    alone = build_model("antony_clsf", ("att2",), "single", (96, 96))
    with pytest.raises(InputError, match="branches att1, att2; the experiment has att2"):
        set_weights_by_layer(alone, weights, "model.h5")


OTHER_KIND = r"do not fit: att1_mask \(another kind of attention\)"


@pytest.mark.parametrize(("file", "model", "reason"), [
    ("shared", "local", OTHER_KIND),
    ("local", "shared", OTHER_KIND),
    ("none", "local", "its branches have no masks; the experiment has masks"),
    ("local", "none", "its branches have masks; the experiment has no masks"),
])  # fmt: skip
def test_masks_of_another_kind_of_attention_are_refused(file, model, reason):
    given, built = (
        build_model("antony_clsf", ("att1",), "single", (96, 96), attention=kind)
        for kind in (file, model)
    )
    weights = {layer.name: layer.get_weights() for layer in given.layers if layer.weights}
    with pytest.raises(InputError, match=reason):
        set_weights_by_layer(built, weights, "model.h5")


def test_weights_of_another_architecture_are_refused_by_name(notop):
    path, _ = notop
    model = build_model("antony_clsf", ("att1",), "single", (96, 96))
    with pytest.raises(InputError, match=r"do not fit: conv1 \(missing\)"):
        set_weights_by_layer(model, read_weights(path), str(path))
    grey = build_model(image_size=(64, 64))
    with pytest.raises(InputError, match="block1_conv1"):
        set_weights_by_layer(grey, read_weights(path), str(path))


def test_what_holds_no_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such model file"):
        read_weights(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="(Git LFS pointer|not a readable model file)"):
        read_weights(tmp_path / "text.h5")
    (tmp_path / "text.keras").write_text("no zip")
    with pytest.raises(InputError, match="(Git LFS pointer|not a readable model file)"):
        read_weights(tmp_path / "text.keras")


def test_a_network_of_three_channels_goes_on_with_the_pixels_it_learnt_from(notop, tmp_path):
    assert pixels_of_colour(notop[0]) == IMAGENET_PIXELS
    assert IMAGENET_PIXELS["pixel_deviation"] == 1
    before = build_model("antony_clsf", ("att1",), "single", (96, 96), 3, (10.0, 20.0, 30.0), 4.0)
    save_model(before, tmp_path / "model.h5", {})
    found = pixels_of_colour(tmp_path / "model.h5")
    after = build_model("antony_clsf", ("att1",), "single", (128, 96), **found)
    for model in (before, after):
        pixels = model.get_layer("pixels")
        assert pixels.scale == pytest.approx(0.25)
        assert pixels.offset == pytest.approx([-2.5, -5.0, -7.5])


@pytest.fixture
def saved(tmp_path):
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    save_model(model, tmp_path / "model.h5", {"name": "whole", "chosen": "att1"})
    return model, tmp_path / "model.h5"


def test_it_is_half_as_large_says_the_same_of_itself_and_grades_nearly_the_same(saved, tmp_path):
    model, path = saved
    half = tmp_path / "half.h5"
    write_half_size(path, half)
    assert half.stat().st_size < 0.62 * path.stat().st_size
    assert read_description(half) == read_description(path)
    knees = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 1))
    loaded = load_model(half)
    assert all(variable.dtype == "float32" for variable in loaded.trainable_variables)
    for output, values in model.predict(knees, verbose=0).items():
        np.testing.assert_allclose(loaded.predict(knees, verbose=0)[output], values, atol=5e-3)


def test_what_float16_cannot_hold_is_refused(saved, tmp_path):
    model, path = saved
    model.get_layer("att1_norm").moving_variance.assign(np.full(96, 1e6, np.float32))
    save_model(model, path, {})
    with pytest.raises(InputError, match="moving_variance"):
        write_half_size(path, tmp_path / "half.h5")
    assert not (tmp_path / "half.h5").exists()


@pytest.mark.parametrize("change", [
    os.unlink, lambda path: path.write_bytes(b"other"), lambda path: path.write_bytes(b"longer"),
])  # fmt: skip
def test_a_file_that_was_replaced_is_refused(tmp_path, change):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    digest = file_digest(path)
    refuse_replaced(path, digest)
    change(path)
    with pytest.raises(InputError, match=r"model.onnx: (replaced since the model was|No such)"):
        refuse_replaced(path, digest)
