import shutil

import h5py
import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files.legacy import import_legacy
from knee_attention.networks.files.legacy_arrays import unshared
from knee_attention.networks.files.model_files import load_model, save_model
from knee_attention.networks.layers import LocallyConnected2D
from knee_attention.networks.model import build_model

tf_keras = pytest.importorskip("tf_keras")
from keras2_originals import (  # noqa: E402
    ANTONY,
    VGG,
    antony_clsf,
    antony_clsf_of_the_code,
    antony_extended,
    assert_same_predictions,
    original,
    pixels,
    saved,
    trained,
    vgg16,
)

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module")
def antony_single():
    return trained(original(antony_extended((96, 96), 3), [ANTONY["att1"]]))


def test_vgg16_predicts_the_same_from_weights_and_from_the_whole_model(tmp_path):
    branches = ["att0", "att1"]
    old = trained(original(vgg16((64, 96), 3), [VGG[name] for name in branches]))
    for whole in (False, True):
        imported = import_legacy(saved(old, tmp_path, whole), "vgg16", branches)
        assert imported.model.input.shape == (None, 64, 96, 1)
        assert_same_predictions(old, imported.model, branches)
    assert len(imported.file.roles["ones"]) == len(imported.file.lambdas) == len(branches)
    assert imported.file.has_optimizer


def test_vgg16_early_fusion_predicts_the_same_and_is_recognised(tmp_path):
    old = trained(original(vgg16((64, 64), 3), [VGG["att0"], VGG["att1"]], "early_fusion"))
    imported = import_legacy(saved(old, tmp_path, whole=False), "vgg16", ("att0", "att1"))
    assert_same_predictions(old, imported.model, ["kl"])


@pytest.mark.parametrize(("backbone", "core", "channels"), [
    ("antony_extended", antony_extended, 3),
    ("antony_clsf", antony_clsf, 1),
])  # fmt: skip
def test_antony_networks_predict_the_same(tmp_path, backbone, core, channels):
    old = trained(original(core((96, 112), channels), [ANTONY["att1"], ANTONY["att2"]]))
    for whole in (False, True):
        path = saved(old, tmp_path, whole)
        imported = import_legacy(path, backbone, ("att1", "att2"), image_size=(96, 112))
        assert_same_predictions(old, imported.model, ["att1", "att2"])


def test_resnet50_is_read_by_the_names_of_its_layers(tmp_path):
    core = tf_keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    old = trained(original(core, ["conv3_block4_out"]))
    path = saved(old, tmp_path, whole=False)
    assert_same_predictions(old, import_legacy(path, "resnet50", ["att0"]).model, ["att0"])


@pytest.mark.parametrize(("branches", "fusion"), [
    (("att2", "att0", "att1"), None),
    (("att1", "att2", "att0"), "early_fusion"),
])  # fmt: skip
def test_branches_may_have_any_order_in_the_file(tmp_path, branches, fusion):
    """Equal shapes are matched by order; the rows of the fusion layer follow the same order."""
    core = antony_extended((96, 96), 1)
    old = trained(original(core, [ANTONY[name] for name in branches], fusion))
    imported = import_legacy(saved(old, tmp_path, whole=True), "antony_extended",
                             ("att0", "att1", "att2"))
    outputs = ["kl"] if fusion else branches
    assert_same_predictions(old, imported.model, outputs)
    save_model(imported.model, tmp_path / "new.h5", {})
    assert_same_predictions(old, load_model(tmp_path / "new.h5"), outputs)


def test_branches_of_as_many_channels_are_told_apart_by_their_masks(tmp_path):
    old = trained(original(vgg16((64, 64), 3), [VGG["att2"], VGG["att1"]]))
    imported = import_legacy(saved(old, tmp_path, whole=False), "vgg16", ("att1", "att2"))
    assert_same_predictions(old, imported.model, ["att2", "att1"])


@pytest.mark.parametrize("implementation", [2, 3])
def test_every_implementation_of_the_mask_predicts_the_same(tmp_path, implementation):
    core = antony_extended((96, 112), 1)
    old = trained(original(core, [ANTONY["att0"]], implementation=implementation))
    imported = import_legacy(saved(old, tmp_path, whole=True), "antony_extended", ["att0"])
    assert_same_predictions(old, imported.model, ["att0"])


@pytest.mark.parametrize(("implementation", "kernel_shape"),
                         [(1, (12, 6, 2)), (2, (3, 4, 6, 3, 4, 2)), (3, (3 * 4 * 6 * 2,))])
def test_kernels_of_every_implementation_become_one(implementation, kernel_shape):
    volume = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    theirs = tf_keras.layers.LocallyConnected2D(
        2, 1, implementation=implementation, bias_initializer="random_normal"
    )
    expected = np.asarray(theirs(volume))
    kernel, bias = theirs.get_weights()
    assert kernel.shape == kernel_shape
    ours = LocallyConnected2D(2)
    ours.build(volume.shape)
    ours.set_weights(unshared(kernel, bias))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(volume)), expected, atol=1e-5)


def test_without_an_optimizer_a_whole_model_is_read_too(tmp_path, antony_single):
    antony_single.save(tmp_path / "old.h5", include_optimizer=False)
    imported = import_legacy(tmp_path / "old.h5", "antony_extended", ["att1"])
    assert not imported.file.has_optimizer
    assert_same_predictions(antony_single, imported.model, ["att1"])


def test_nothing_in_a_file_is_executed(tmp_path):
    trap = str(tmp_path / "executed")

    def divide(pair):
        with open(trap, "w"):
            return pair[0] / pair[1]

    old = trained(original(antony_clsf((96, 96), 1), [ANTONY["att0"]], divide=divide))
    path = saved(old, tmp_path, whole=True)
    (tmp_path / "executed").unlink()
    imported = import_legacy(path, "antony_clsf", ["att0"])
    assert len(imported.file.lambdas) == 1
    assert not (tmp_path / "executed").exists()
    tf_keras.models.load_model(path)  # Keras 2 executes the code: the test file works
    assert (tmp_path / "executed").exists()


def test_weights_alone_give_the_paper_s_image_size(tmp_path):
    for backbone, branches in (("vgg16", ("att0", "att1")), ("antony_clsf", ("att2",)),
                               ("antony_extended", ("att1", "att2"))):
        ours = build_model(backbone, branches, "multi_loss" if branches[1:] else "single")
        ours.save(tmp_path / "weights.h5")
        with h5py.File(tmp_path / "weights.h5", "a") as file:
            del file.attrs["model_config"]
        imported = import_legacy(tmp_path / "weights.h5", backbone, branches)
        assert imported.model.input.shape == (None, 320, 224, 1)


@pytest.mark.parametrize(
    ("backbone", "branches", "said"),
    [
        ("vgg16", ["att1"], r"another architecture than vgg16_single_att1: block1_conv1 "
         r"\[\(3, 3, 3, 64\), \(64,\)\] for its Conv1_1 \[\(11, 11, 3, 32\), \(32,\)\]; .* more"),
        ("antony_clsf", ["att1"], r"conv2 \[\(5, 5, 32, 64\), \(64,\)\] for its Conv2_1 \[\(3, 3"),
        ("resnet50", ["att1"], "another architecture than resnet50"),
        ("antony_extended", ["att0"], r"no layer for its Conv3_1 \[\(3, 3, 64, 96\)"),
        ("antony_extended", ["att2"], r"conv4_1 \[\(3, 3, 96, 128\), \(128,\)\] not found"),
        ("antony_extended", ["att0", "att1"], "not found"),
        ("vgg19", ["att1"], "expected one of the backbones .*Received: 'vgg19'"),
        ("vgg16", ["att3"], "expected distinct branches from att0, att1, att2"),
    ],
)
def test_another_architecture_is_refused_with_what_does_not_fit(
    tmp_path, antony_single, backbone, branches, said
):
    # Large networks are slow to build, and both kinds of file are compared alike.
    for whole in (False, True) if backbone.startswith("antony") else (False,):
        path = saved(antony_single, tmp_path, whole)
        with pytest.raises(InputError, match=said):
            import_legacy(path, backbone, branches)


def test_a_size_that_does_not_give_the_masks_is_refused(tmp_path, antony_single):
    path = saved(antony_single, tmp_path, whole=False)
    with pytest.raises(InputError, match="masks do not fit 128x96 images.*--image-size"):
        import_legacy(path, "antony_extended", ["att1"], image_size=(128, 96))
    with pytest.raises(InputError, match="at least 96"):
        import_legacy(path, "antony_extended", ["att1"], image_size=(8, 8))


def test_the_2x2_pools_of_the_original_antony_clsf_are_refused(tmp_path):
    # For 126x126 images, 2x2 and 3x3 pools give masks of the same size, 15x15.
    for size in ((320, 224), (126, 126)):
        old = original(antony_clsf_of_the_code(size, 1), [ANTONY["att0"]])
        for whole in (False, True):
            with pytest.raises(InputError, match="2x2 pools, this project uses the 3x3 pools"):
                import_legacy(saved(old, tmp_path, whole), "antony_clsf", ["att0"])


def test_a_spread_that_is_no_longer_ones_is_refused(tmp_path, antony_single):
    path = saved(antony_single, tmp_path, whole=False)
    [name] = import_legacy(path, "antony_extended", ["att1"]).file.roles["ones"]
    with h5py.File(path, "a") as file:
        file[name][name]["kernel:0"][0, 0, 0, 3] = 1.5
    with pytest.raises(InputError, match=f"{name} spreads a mask .* weights other than ones"):
        import_legacy(path, "antony_extended", ["att1"])


def test_pixels_are_normalised_as_said(tmp_path, antony_single):
    path = saved(antony_single, tmp_path, whole=True)
    model = import_legacy(path, "antony_extended", ["att1"], pixel_mean=0.0,
                          pixel_deviation=255.0).model
    images = pixels(antony_single)
    np.testing.assert_allclose(
        model.predict(images[..., :1], verbose=0)["att1"],
        antony_single.predict(images / 255, verbose=0), atol=1e-5,
    )  # fmt: skip
    with pytest.raises(InputError, match="positive pixel deviation"):
        import_legacy(path, "antony_extended", ["att1"], pixel_deviation=0.0)


def test_what_is_no_file_of_keras_2_is_refused(tmp_path, antony_single):
    def refused(name, said):
        with pytest.raises(InputError, match=said):
            import_legacy(tmp_path / name, "antony_extended", ["att1"])

    refused("none.h5", "no such model file")
    (tmp_path / "empty.h5").touch()
    refused("empty.h5", "the file is empty")
    (tmp_path / "text.h5").write_text("no HDF5")
    refused("text.h5", "not a readable model file")
    (tmp_path / "pointer.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused("pointer.h5", "Git LFS pointer")
    ours = build_model("antony_extended", ("att1",), "single", (96, 96))
    for name in ("own.h5", "own.keras"):
        save_model(ours, tmp_path / name, {})
        refused(name, "already a model of this project; it needs no import")
    ours.save_weights(tmp_path / "own.weights.h5")
    refused("own.weights.h5", "no weights with layer names")
    knees = keras.Input((8, 8, 1))
    keras.Model(knees, keras.layers.Conv2D(4, 3)(knees)).save(tmp_path / "foreign.h5")
    refused("foreign.h5", "a model of another project, written by Keras 3")
    whole = saved(antony_single, tmp_path, whole=True)
    for number, config in enumerate(("{", "[]", "{}", "[" * 10**5)):
        damaged = shutil.copy(whole, tmp_path / f"damaged{number}.h5")
        with h5py.File(damaged, "a") as file:
            file.attrs["model_config"] = config
        refused(damaged.name, "damaged")
