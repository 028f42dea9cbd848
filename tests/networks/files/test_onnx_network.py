import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.masks import masks_among, with_masks
from knee_attention.networks.model import IMAGENET_MEAN, build_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from knee_attention.networks.files.onnx_export import export_onnx  # noqa: E402
from knee_attention.networks.files.onnx_network import OnnxNetwork  # noqa: E402


def description(model):
    return {"outputs": list(model.output), "image_size": list(model.input.shape[1:3])}


def shaken(model):
    """The model with batch statistics, masks and biases that are not at their beginning."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) or layer.name.endswith("_mask"):
            layer.set_weights([
                array * generator.uniform(0.5, 2, array.shape) + generator.uniform(0, 1)
                for array in layer.get_weights()
            ])  # fmt: skip
    return model


@pytest.mark.parametrize("fusion", ["multi_loss", "early_fusion"])
@pytest.mark.parametrize("backbone", ["vgg16", "resnet50", "antony_clsf", "antony_extended"])
def test_onnxruntime_computes_what_keras_does(tmp_path, backbone, fusion):
    model = shaken(build_model(backbone, ("att0", "att1"), fusion, (128, 96)))
    export_onnx(model, tmp_path / "model.onnx", description(model))
    knees = np.random.default_rng(1).integers(0, 256, (3, 128, 96, 1)).astype(np.float32)
    network = OnnxNetwork(tmp_path / "model.onnx")
    values = network(knees)
    for output, expected in model.predict(knees, verbose=0).items():
        np.testing.assert_allclose(values[output], expected, atol=1e-5)
    masks = masks_among(with_masks(model).predict(knees, verbose=0))
    for branch, expected in masks.items():
        np.testing.assert_allclose(values[f"{branch}_mask"], expected, atol=1e-5)
    assert network.description == description(model)


def test_a_network_of_bfloat16_is_computed_in_float32(tmp_path):
    mixed, whole = (
        build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96), precision=precision)
        for precision in ("mixed_bfloat16", "float32")
    )
    shaken(mixed)
    whole.set_weights(mixed.get_weights())
    export_onnx(mixed, tmp_path / "model.onnx", description(mixed))
    knees = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 1)).astype(np.float32)
    values = OnnxNetwork(tmp_path / "model.onnx")(knees)
    for output, expected in whole.predict(knees, verbose=0).items():
        np.testing.assert_allclose(values[output], expected, atol=1e-5)
    for output, expected in mixed.predict(knees, verbose=0).items():
        np.testing.assert_allclose(values[output], expected, atol=0.05)


@pytest.mark.parametrize(("kind", "fusion"), [("clsf", "dense"), ("joint", "joint")])
def test_baselines_are_exported(tmp_path, kind, fusion):
    model = build_model(f"antony_{kind}_baseline", (), fusion, (128, 96))
    export_onnx(model, tmp_path / "model.onnx", description(model))
    knees = np.random.default_rng(1).integers(0, 256, (3, 128, 96, 1)).astype(np.float32)
    values = OnnxNetwork(tmp_path / "model.onnx")(knees)
    for output, expected in model.predict(knees, verbose=0).items():
        np.testing.assert_allclose(values[output], expected, atol=1e-5)


def test_three_channels_and_their_means_are_exported(tmp_path):
    model = build_model("vgg16", ("att0",), "single", (64, 64), 3, IMAGENET_MEAN, 1.0)
    export_onnx(model, tmp_path / "model.onnx", description(model))
    knees = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 1)).astype(np.float32)
    expected = model.predict(knees, verbose=0)["att0"]
    values = OnnxNetwork(tmp_path / "model.onnx")(knees)["att0"]
    np.testing.assert_allclose(values, expected, atol=1e-5)


@pytest.mark.parametrize("place", ["initializer", "attribute"])
def test_what_lies_in_other_files_is_not_read(tmp_path, monkeypatch, place):
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model) | {"experiment": {"data": "location"}})
    OnnxNetwork(path)
    graph = onnx.load(path)
    tensor = next(item for item in graph.graph.initializer if item.name and item.dims)
    (tmp_path / "weights.bin").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")
    if place == "attribute":
        node = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        graph.graph.initializer.remove(tensor)
        graph.graph.node.insert(0, node)
    path.write_bytes(graph.SerializeToString())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="model.onnx: its weights lie in another file"):
        OnnxNetwork(path)


@pytest.mark.parametrize("before", [b"\xa3\x06\xa4\x06", b"\x88\x80\x80\x80\x70\x08"],
                         ids=["a group", "a key of 35 bits"])
def test_what_cannot_be_followed_is_not_read(tmp_path, before):
    """onnxruntime can, and behind it weights could lie in another file."""
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model))
    path.write_bytes(before + path.read_bytes())
    with pytest.raises(InputError, match="model.onnx: no readable ONNX file$"):
        OnnxNetwork(path)


def test_graphs_too_deep_inside_one_another_are_refused(tmp_path):
    def inside(field, message):
        size = len(message)
        size = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
        return bytes([field << 3 | 2]) + size + message

    graph = b""
    for _ in range(400):
        for field in (6, 5, 1):  # the graph of an attribute of a node of a graph
            graph = inside(field, graph)
    path = tmp_path / "model.onnx"
    path.write_bytes(inside(7, graph))
    with pytest.raises(InputError, match="model.onnx: no readable ONNX file"):
        OnnxNetwork(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(InputError, match="no such model file"):
        OnnxNetwork(path)
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match="no readable ONNX file"):
        OnnxNetwork(path)
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model) | {"image_size": [64, 64]})
    with pytest.raises(InputError, match="does not describe itself"):
        OnnxNetwork(path)


@pytest.mark.parametrize("stored", ["raw_data", "float_data", "float16", "bfloat16", "attribute"])
def test_weights_that_are_not_finite_are_refused(tmp_path, stored):
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model))
    graph = onnx.load(path)
    tensor = next(item for item in graph.graph.initializer if list(item.dims) == [64])
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[1] = np.nan
    if stored == "float16":
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), tensor.name))
    elif stored == "bfloat16":
        name, kind = tensor.name, onnx.TensorProto.BFLOAT16
        tensor.CopyFrom(onnx.helper.make_tensor(name, kind, tensor.dims, values))
    elif stored == "float_data":
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.tolist())
    else:
        tensor.raw_data = values.tobytes()
    if stored == "attribute":
        graph.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))
        tensor.raw_data = np.nan_to_num(values).tobytes()
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(InputError, match="model.onnx: its weights are not all finite"):
        OnnxNetwork(path)
