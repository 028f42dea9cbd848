"""The paper's models and their masks: outputs, losses, names and files."""

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import keras
import numpy as np
import pytest

from knee_attention.networks.attention import masks_among, with_masks
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.model import IMAGENET_MEAN, build_model

SINGLES = {branch: ((branch,), "single") for branch in ("att0", "att1", "att2")}


def variant(backbone, name):
    pair = ("att0", "att1") if backbone in ("vgg16", "resnet50") else ("att1", "att2")
    return SINGLES.get(name) or (pair, name)


ATTENTIVE = [name for name, backbone in BACKBONES.items() if backbone.taps]
TWENTY = list(itertools.product(ATTENTIVE, [*SINGLES, "early_fusion", "multi_loss"]))


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_vgg16_multi_loss_has_the_parameters_of_the_paper():
    model = build_model("vgg16", ("att0", "att1"), "multi_loss", (320, 224))
    assert model.count_params() == 7_716_194
    assert count(model.non_trainable_weights) == 1_536


def test_layers_behind_the_deepest_tap_are_left_out():
    names = [layer.name for layer in build_model("vgg16", ("att0",), "single", (64, 64)).layers]
    assert "block3_pool" in names
    assert not any(name.startswith("block4") for name in names)


def test_taps_are_where_the_paper_has_them():
    model = build_model("resnet50", ("att0", "att1", "att2"), "multi_loss", (64, 64))
    shapes = {b: model.get_layer(f"{b}_norm").output.shape[1:] for b in ("att0", "att1", "att2")}
    assert shapes == {"att0": (8, 8, 512), "att1": (4, 4, 1024), "att2": (2, 2, 2048)}


def grades_of(model, images):
    """Predictions without a compiled graph; compilation takes longer than these predictions."""
    return {name: keras.ops.convert_to_numpy(p) for name, p in model(images).items()}


@pytest.mark.parametrize(("backbone", "name"), TWENTY)
def test_all_twenty_train_a_step_and_survive_saving(backbone, name, tmp_path, small_knees):
    branches, fusion = variant(backbone, name)
    side = max(64, BACKBONES[backbone].smallest)
    images, grades = (values[:2] for values in small_knees)
    images = images[:, :side, :side]
    model = build_model(backbone, branches, fusion, (side, side))
    outputs = ["kl"] if fusion == "early_fusion" else list(branches)
    assert list(model.output) == outputs
    losses = dict.fromkeys(outputs, "sparse_categorical_crossentropy")
    model.compile("sgd", loss=losses, run_eagerly=True)
    before = [layer.get_weights()[0] for layer in trained_layers(model)]
    model.train_on_batch(images, dict.fromkeys(outputs, grades))
    for kernel, layer in zip(before, trained_layers(model), strict=True):
        assert not np.array_equal(kernel, layer.get_weights()[0]), layer.name
    predicted = grades_of(model, images)
    for values in predicted.values():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    # Large networks are slow to save, and their variants differ like those of small networks.
    is_saved = backbone.startswith("antony") or name == "multi_loss"
    for suffix in (".h5", ".keras") if is_saved else ():
        model.save(tmp_path / f"model{suffix}", include_optimizer=False)
        loaded = keras.saving.load_model(tmp_path / f"model{suffix}", compile=False)
        again = grades_of(loaded, images)
        for output in outputs:
            np.testing.assert_array_equal(predicted[output], again[output])


def trained_layers(model):
    """The weights of the first convolution and of every branch's mask and head."""
    ends = ("_mask", "att0", "att1", "att2", "kl")
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    return [convolutions[0], *(layer for layer in model.layers if layer.name.endswith(ends))]


def test_pixels_are_normalised_inside():
    model = build_model(image_size=(64, 64), pixel_mean=100.0, pixel_deviation=50.0)
    part = keras.Model(model.inputs, model.get_layer("pixels").output)
    values = part.predict(np.full((1, 64, 64, 1), 200, np.uint8), verbose=0)
    np.testing.assert_allclose(values, 2.0, rtol=1e-6)


def test_the_channel_is_repeated_inside_for_imagenet_weights():
    model = build_model(
        image_size=(64, 64), channels=3, pixel_mean=(1.0, 2.0, 3.0), pixel_deviation=1.0
    )
    assert model.input_shape == (None, 64, 64, 1)
    part = keras.Model(model.inputs, model.get_layer("pixels").output)
    values = part.predict(np.full((1, 64, 64, 1), 10, np.uint8), verbose=0)
    np.testing.assert_allclose(values[0, 0, 0], [9, 8, 7])


@pytest.mark.parametrize("backbone", ["vgg16", "resnet50"])
def test_pixels_reach_imagenet_weights_as_keras_applications_prepares_them(backbone):
    model = build_model(
        backbone, image_size=(64, 64), channels=3, pixel_mean=IMAGENET_MEAN, pixel_deviation=1.0
    )
    knees = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 1)).astype(np.float32)
    part = keras.Model(model.inputs, model.get_layer("pixels").output)
    prepare = getattr(keras.applications, backbone).preprocess_input
    expected = prepare(np.repeat(knees, 3, axis=3))
    np.testing.assert_allclose(part.predict(knees, verbose=0), expected, atol=1e-4)


def test_a_precision_is_seen_by_no_other_thread(monkeypatch):
    """One thread builds in bfloat16 while another builds in its own precision."""
    half_built, go_on = Event(), Event()

    def slow(images):
        half_built.set()
        assert go_on.wait(60)
        return BACKBONES["antony_clsf"].build(images)

    monkeypatch.setitem(
        BACKBONES, "slow", dataclasses.replace(BACKBONES["antony_clsf"], build=slow)
    )
    arguments = {"branches": ("att0",), "fusion": "single", "image_size": (96, 96)}
    with ThreadPoolExecutor(1) as other:
        building = other.submit(build_model, "slow", precision="mixed_bfloat16", **arguments)
        assert half_built.wait(60)
        assert keras.config.dtype_policy().name == "float32"
        here = build_model("antony_clsf", **arguments)
        go_on.set()
        there = building.result()
    assert here.get_layer("conv2").compute_dtype == "float32"
    assert there.get_layer("conv2").compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "vgg19"}, "expected one of the backbones"),
        ({"fusion": "late"}, "expected one of the fusions"),
        ({"branches": ("att0", "att7")}, "expected distinct branches"),
        ({"branches": ("att0", "att0")}, "expected distinct branches"),
        ({"branches": ("att0",)}, "one branch for 'single'"),
        ({"fusion": "single"}, "one branch for 'single'"),
        ({"image_size": (32, 224)}, "at least 64 pixels"),
        ({"image_size": (4200, 96)}, "at most 4096 pixels"),  # also the limit for files
        ({"channels": 2}, "1 or 3 channels"),
    ],
)
def test_what_cannot_be_built_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_model(**arguments)


def test_masks_of_every_branch_come_in_its_own_resolution_beside_the_same_outputs(small_knees):
    images, _ = small_knees
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    values = with_masks(model).predict(images, verbose=0)
    masks = masks_among(values)
    assert {branch: mask.shape for branch, mask in masks.items()} == {
        "att1": (8, 5, 5),
        "att2": (8, 2, 2),
    }
    assert all((mask > 0).all() and (mask < 1).all() for mask in masks.values())
    for output, said in model.predict(images, verbose=0).items():
        np.testing.assert_allclose(values[output], said, atol=1e-6)


def test_a_model_without_attention_has_no_masks(small_knees):
    images, _ = small_knees
    model = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    values = with_masks(model).predict(images, verbose=0)
    assert list(values) == ["kl"] and masks_among(values) == {}
