"""Keras 2 files of other backends, of channels_first and multi-GPU models; import-legacy."""

import json

import h5py
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files.initial_weights import read_weights
from knee_attention.networks.files.legacy import import_legacy
from knee_attention.networks.files.legacy_arrays import unshared

tf_keras = pytest.importorskip("tf_keras")

from keras2_originals import (  # noqa: E402
    ANTONY,
    antony_clsf,
    assert_same_predictions,
    original,
    saved,
    trained,
)

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.grading.grader import load_grader  # noqa: E402
from knee_attention.networks.files.model_files import load_model, read_description  # noqa: E402
from knee_attention.networks.model import PIXEL_DEVIATION, PIXEL_MEAN, build_model  # noqa: E402

pytestmark = pytest.mark.usefixtures("eager")

BRANCHES = ("att1", "att2")


@pytest.fixture(scope="module")
def odd():
    """A network with two branches for images with odd sides."""
    core = antony_clsf((97, 113), 1)
    return trained(original(core, [ANTONY[branch] for branch in BRANCHES]))


def imported(path, size=(97, 113)):
    return import_legacy(path, "antony_clsf", BRANCHES, image_size=size)


def written_on(backend, path):
    """A file of Keras 2 on another backend, for a model with the same predictions."""
    with h5py.File(path, "a") as file:
        root = file["model_weights"] if "model_weights" in file else file
        file.attrs["backend"] = root.attrs["backend"] = np.bytes_(backend)
        if backend != "theano":
            return path
        for layer in root.attrs["layer_names"]:
            for name in root[layer].attrs["weight_names"]:
                if root[layer][name].ndim == 4:  # Theano convolves, TensorFlow correlates
                    root[layer][name][...] = root[layer][name][()][::-1, ::-1]
    return path


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("backend", ["theano", "cntk", "tensorflow"])
def test_a_file_of_each_backend_predicts_what_it_did(tmp_path, odd, backend, whole):
    new = imported(written_on(backend, saved(odd, tmp_path, whole)))
    assert_same_predictions(odd, new.model, BRANCHES)
    assert new.file.backend == backend


@pytest.mark.parametrize("backend", ["theano", "cntk"])
def test_windows_that_lie_elsewhere_are_refused(tmp_path, backend):
    """For even sides TensorFlow pads a strided convolution one pixel less at the top and left."""
    even = original(antony_clsf((96, 113), 1), [ANTONY[branch] for branch in BRANCHES])
    path = written_on(backend, saved(even, tmp_path, whole=True))
    with pytest.raises(InputError, match=f"{backend}, which pads the convolution conv1 diff"):
        imported(path, None)


def test_another_backend_is_refused(tmp_path, odd):
    path = written_on("mxnet", saved(odd, tmp_path, whole=False))
    with pytest.raises(InputError, match="weights.hdf5: .*Received: 'mxnet'"):
        imported(path)


def test_weights_to_start_from_are_turned_as_well(tmp_path, odd):
    plain = read_weights(saved(odd, tmp_path, whole=False))
    turned = read_weights(written_on("theano", tmp_path / "weights.hdf5"))
    for name, arrays in plain.items():
        for array, other in zip(arrays, turned[name], strict=True):
            np.testing.assert_array_equal(array, other)


def channels_first(path, **changes):
    """The configuration of the same network for channels_first images."""
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            inside = layer["config"]
            if "batch_input_shape" in inside:
                count, *sides, channels = inside["batch_input_shape"]
                inside["batch_input_shape"] = [count, channels, *sides]
            if "data_format" in inside:
                inside["data_format"] = "channels_first"
            if layer["class_name"] == "BatchNormalization":
                inside["axis"] = 1
                inside.update(changes)
        file.attrs["model_config"] = json.dumps(config)
    return path


@pytest.mark.parametrize("backend", ["theano", "tensorflow"])
def test_channels_may_come_first(tmp_path, odd, backend):
    path = channels_first(written_on(backend, saved(odd, tmp_path, whole=True)))
    new = imported(path, None)
    assert new.file.image_size == (97, 113)
    assert_same_predictions(odd, new.model, BRANCHES)


@pytest.mark.parametrize("axis", [-1, 3, [3]])
def test_a_normalisation_of_columns_is_refused(tmp_path, odd, axis):
    path = channels_first(saved(odd, tmp_path, whole=True), axis=axis)
    with pytest.raises(InputError, match="old.h5: .*does not normalise the channel axis"):
        imported(path)


def test_a_mask_with_channels_first_is_the_same_mask():
    kernel = np.random.default_rng(0).normal(size=(12, 6, 1))
    bias = np.zeros((3, 4, 1))
    first = np.zeros((6, 3, 4, 1, 3, 4))
    for row in range(3):
        for column in range(4):
            first[:, row, column, :, row, column] = kernel[4 * row + column]
    np.testing.assert_array_equal(unshared(first, bias)[0], kernel)


def on_two_gpus(model):
    """Wrap a model as `multi_gpu_model` of Keras 2: split the batch, concatenate the outputs."""
    layers = tf_keras.layers
    images = tf_keras.Input(model.input_shape[1:], name="images")
    halves = [layers.Lambda(lambda x, part=part: x[part::2])(images) for part in (0, 1)]
    outputs = [model(half) for half in halves]
    outputs = [one if isinstance(one, list) else [one] for one in outputs]
    joined = [layers.concatenate(list(pair), axis=0) for pair in zip(*outputs, strict=True)]
    return tf_keras.Model(images, joined)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_a_model_of_several_gpus_is_unwrapped(tmp_path, odd, whole, backend):
    path = written_on(backend, saved(on_two_gpus(odd), tmp_path, whole))
    new = imported(path, None if whole else (97, 113))
    assert new.model.input.shape == (None, 97, 113, 1)
    assert_same_predictions(odd, new.model, BRANCHES)


SIZE = ["--image-size", "96", "96"]


@pytest.fixture
def old(tmp_path):
    """A weights file of two branches, in the layout that Keras 2 and 3 share, and its model."""
    model = build_model("antony_extended", ("att1", "att2"), "multi_loss", (96, 96),
                        pixel_mean=PIXEL_MEAN, pixel_deviation=PIXEL_DEVIATION)
    path = tmp_path / "weights.h5"
    model.save(path)
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
    return path, model


def run_import_legacy(*arguments):
    main(["import-legacy", *map(str, arguments)])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_an_old_file_becomes_one_that_grades(old, tmp_path, capsys, small_knees, suffix):
    path, model = old
    new = tmp_path / f"new{suffix}"
    run_import_legacy(path, new, "--backbone", "antony_extended", "--branches", "att2", "att1",
                      *SIZE)  # fmt: skip
    printed = capsys.readouterr().out
    assert f"{new}: antony_extended_multi_loss_att1_att2, grades by att2" in printed
    assert "backbone     7 layers: conv1, ..., conv4_2" in printed
    assert "att1         5 layers: att1_norm, att1_conv1, att1_conv2, att1_mask, att1" in printed
    assert f"knee-attention grade --model {new} FILE" in printed
    said = read_description(new)
    assert said["chosen"] == "att2" and said["imported_from"] == "weights.h5"
    assert said["parameters"] == model.count_params() and said["synthetic"] is False
    images = small_knees[0].astype(np.float32)
    for name, values in load_model(new).predict(images, verbose=0).items():
        np.testing.assert_allclose(values, model.predict(images, verbose=0)[name], atol=1e-6)
    [knee] = load_grader(new).grade(small_knees[0][0, ..., 0], view="single")
    assert knee.chosen == "att2"


def test_the_branch_and_the_pixels_can_be_chosen(old, tmp_path):
    run_import_legacy(old[0], tmp_path / "new.h5", "--backbone", "antony_extended", "--branches",
                  "att1", "att2", *SIZE, "--chosen", "att2", "--pixel-mean", 0,
                  "--pixel-deviation", 255)
    said = read_description(tmp_path / "new.h5")
    assert said["chosen"] == "att2"
    assert said["pixel_deviation"] == pytest.approx(255) and not any(said["pixel_mean"])


def test_what_cannot_be_imported_is_said_in_one_sentence(old, tmp_path, refused):
    path, new = old[0], tmp_path / "new.h5"
    both = ["--backbone", "antony_extended", "--branches", "att1", "att2"]
    other = tmp_path / "new.onnx"
    assert "must end in .h5 or .keras" in refused("import-legacy", path, other, *both)
    assert "would be overwritten" in refused("import-legacy", path, path, *both)
    assert "no such model file" in refused("import-legacy", tmp_path / "none.h5", new, *both)
    assert "--chosen att0: expected one of att1, att2" in refused(
        "import-legacy", path, new, *both, *SIZE, "--chosen", "att0"
    )
    assert "another architecture than vgg16_single_att0: block1_conv1" in refused(
        "import-legacy", path, new, "--backbone", "vgg16", "--branches", "att0"
    )
    assert "masks do not fit 128x128 images" in refused(
        "import-legacy", path, new, *both, "--image-size", "128", "128"
    )
    (tmp_path / "file").touch()
    said = refused("import-legacy", path, tmp_path / "file" / "n.h5", *both, *SIZE)
    assert "cannot be written" in said
    assert not new.exists()
