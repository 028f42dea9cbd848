import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.backbones import BACKBONES, Backbone
from knee_attention.networks.files import model_files
from knee_attention.networks.files.initial_weights import read_weights, set_weights_by_layer
from knee_attention.networks.model import IMAGENET_MEAN, build_model

GIVEN = {"name": "mine", "chosen": "att1", "synthetic": True}
pytestmark = pytest.mark.usefixtures("eager")


def random_knees(size=(96, 96), count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *size, 1)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("backbone", "branches", "fusion", "channels", "attention"),
    [
        ("antony_clsf", ("att0", "att1", "att2"), "multi_loss", 1, "local"),
        ("antony_clsf", ("att1", "att2"), "multi_loss", 1, "none"),
        ("antony_extended", ("att1",), "single", 1, "shared"),
        ("vgg16", ("att0", "att1"), "early_fusion", 3, "local"),
    ],
)
def test_a_model_comes_back_as_it_was(
    tmp_path, suffix, backbone, branches, fusion, channels, attention
):
    pixels = {"pixel_mean": IMAGENET_MEAN, "pixel_deviation": 2.0} if channels == 3 else {}
    model = build_model(
        backbone, branches, fusion, (96, 128), channels, **pixels, attention=attention
    )
    path = tmp_path / f"model{suffix}"
    given = {**GIVEN, "chosen": list(model.output)[-1]}
    model_files.save_model(model, path, given)
    described = model_files.read_description(path)
    assert described.items() >= given.items()
    assert described["backbone"] == backbone and described["fusion"] == fusion
    assert tuple(described["branches"]) == branches
    assert described["image_size"] == [96, 128] and described["channels"] == channels
    assert described["outputs"] == list(model.output) and described["attention"] == attention
    knees = random_knees((96, 128))
    again = model_files.load_model(path).predict(knees, verbose=0)
    for output, values in model.predict(knees, verbose=0).items():
        np.testing.assert_allclose(again[output], values, atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_fused_branches_come_back_in_whatever_order_they_were_given(tmp_path, suffix):
    model = build_model("antony_clsf", ("att1", "att0"), "early_fusion", (96, 96))
    model_files.save_model(model, tmp_path / f"model{suffix}", {})
    again = model_files.load_model(tmp_path / f"model{suffix}")
    knees = random_knees()
    expected = model.predict(knees, verbose=0)["kl"]
    np.testing.assert_allclose(again.predict(knees, verbose=0)["kl"], expected, atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_backbone_may_name_its_layers_as_the_branches_do(tmp_path, monkeypatch, suffix):
    def build(images):
        x = keras.layers.BatchNormalization(name="stem_norm")(images)
        x = keras.layers.MaxPooling2D(8, name="stem_pool")(x)
        return keras.layers.Conv2D(8, 3, name="features")(x)

    own = Backbone(build, {"att0": "features"}, 64, "stem_norm", "features", {})
    monkeypatch.setitem(BACKBONES, "own", own)
    model = build_model("own", ("att0",), "single", (96, 96))
    model_files.save_model(model, tmp_path / f"model{suffix}", {})
    described = model_files.read_description(tmp_path / f"model{suffix}")
    assert (described["backbone"], described["branches"]) == ("own", ["att0"])
    weights = read_weights(tmp_path / f"model{suffix}")
    assert "att0_mask" in set_weights_by_layer(model, weights, "file")
    of_backbone = {name: arrays for name, arrays in weights.items() if name[:3] != "att"}
    assert set_weights_by_layer(model, of_backbone, "file") == ["stem_norm", "features"]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, full_disk, suffix):
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    with full_disk(100_000), pytest.raises(InputError, match="cannot be written: File too"):
        model_files.save_model(model, tmp_path / f"model{suffix}", {})
    assert not any(tmp_path.iterdir())


def test_the_precision_is_the_saved_one_and_the_callers_stays(tmp_path, monkeypatch):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    finally:
        keras.config.set_dtype_policy(before)
    model_files.save_model(model, tmp_path / "model.h5", {})
    again = model_files.load_model(tmp_path / "model.h5")
    assert again.get_layer("conv2").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() == before
    monkeypatch.setattr(model_files.device, "usable_precision", lambda saved: "float32")
    again = model_files.load_model(tmp_path / "model.h5")
    assert again.get_layer("conv2").compute_dtype == "float32"


def test_a_model_saved_by_keras_alone_is_known_by_its_graph(tmp_path):
    model = build_model("resnet50", ("att0",), "single", (64, 64))
    model.save(tmp_path / "model.keras")
    described = model_files.read_description(tmp_path / "model.keras")
    assert described["backbone"] == "resnet50" and "chosen" not in described


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_code_in_a_file_is_not_run(tmp_path, suffix):
    trace = tmp_path / "was_run"
    name = str(trace)
    knee = keras.Input((96, 96, 1), name="knee")
    written = keras.layers.Lambda(lambda x: [x, open(name, "w")][0])
    keras.Model(knee, written(knee)).save(tmp_path / f"model{suffix}")
    assert trace.exists()  # building the model runs the code, so loading it would too
    trace.unlink()
    with pytest.raises(InputError, match="not a model of this project"):
        model_files.load_model(tmp_path / f"model{suffix}")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.h5", None, "no such model file"),
        ("model.h5", b"", "empty"),
        ("model.h5", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        ("model.h5", b"an image, perhaps", "not a readable model file"),
        ("model.onnx", b"a graph", "not an ONNX file"),
        ("model.keras", b"PK no zip", "not a readable model file"),
    ],
)
def test_what_is_no_model_is_said(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        model_files.load_model(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)


def test_models_of_other_projects_are_refused(tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "model.h5")
    with pytest.raises(InputError, match="not a model of this project.*import-legacy"):
        model_files.load_model(tmp_path / "model.h5")


def test_arrays_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "model.h5"
    model_files.save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {})
    with h5py.File(path, "a") as file:
        group = file["model_weights"]["conv2"]
        name = group.attrs["weight_names"][0]
        del group[name]
        group[name] = np.zeros((3, 3, 32, 64), np.float32)
    with pytest.raises(InputError, match=r"weights of conv2 do not fit: .*Received: \[\(3, 3, 32"):
        model_files.load_model(path)


def test_what_lies_in_other_files_is_not_read(tmp_path, elsewhere):
    path = tmp_path / "model.h5"
    model_files.save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {})
    with h5py.File(path, "a") as file:
        group = file["model_weights"]["conv2"]
        elsewhere(group, group.attrs["weight_names"][0])
    for read in (model_files.load_model, model_files.read_description, model_files.layer_weights):
        with pytest.raises(InputError, match="lies in another file"):
            read(path)


def test_what_lies_in_other_files_is_not_read_from_an_archive(tmp_path, elsewhere):
    path = tmp_path / "model.keras"
    model_files.save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {})
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "all")
    with h5py.File(tmp_path / "all" / "model.weights.h5", "a") as file:
        group = file["layers/conv2d/vars"]
        elsewhere(group, "0")
    with zipfile.ZipFile(path, "w") as archive:
        for member in (tmp_path / "all").iterdir():
            archive.write(member, member.name)
    with pytest.raises(InputError, match="lies in another file"):
        model_files.load_model(path)


@pytest.mark.parametrize("name", ["config.json", "knee_attention.json", "model.weights.h5"])
def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(tmp_path, name):
    path = tmp_path / "model.keras"
    model_files.save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {})
    with zipfile.ZipFile(path) as archive:
        kept = {item: archive.read(item) for item in archive.namelist() if item != name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, content in kept.items():
            archive.writestr(item, content)
        archive.writestr(name, bytes(2**26))
    with pytest.raises(InputError, match=f"{name} unpacks to 67 MB"):
        model_files.load_model(path)


def test_arrays_that_unpack_to_more_than_the_file_are_not_read(tmp_path):
    for suffix in (".h5", ".keras"):
        path = tmp_path / f"model{suffix}"
        model_files.save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {})
    with h5py.File(tmp_path / "model.h5", "a") as file:
        inflate(file["model_weights/conv2"], file["model_weights/conv2"].attrs["weight_names"][0])
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extractall(tmp_path / "all")
    with h5py.File(tmp_path / "all" / "model.weights.h5", "a") as file:
        inflate(file["layers/conv2d/vars"], "0")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for member in (tmp_path / "all").iterdir():
            archive.write(member, member.name)
    for suffix in (".h5", ".keras"):
        with pytest.raises(InputError, match="its arrays are far larger than the file"):
            model_files.load_model(tmp_path / f"model{suffix}")


def inflate(group, name):
    del group[name]
    group.create_dataset(name, (10**4, 10**4), np.float32, chunks=(10**3, 10**3))


def test_an_image_size_no_memory_holds_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    model_files.save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {})
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == "knee":
                layer["config"]["batch_shape"] = [None, 10**6, 10**6, 1]
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(InputError, match="not a model of this project"):
        model_files.load_model(path)
