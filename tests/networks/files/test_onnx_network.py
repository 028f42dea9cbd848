from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.attention import masks_among, with_masks
from knee_attention.networks.files.stored_content import attention_branches
from knee_attention.networks.model import IMAGENET_MEAN, build_model

onnx = pytest.importorskip("onnx")

from knee_attention.networks.files.onnx_export import export_onnx  # noqa: E402
from knee_attention.networks.files.onnx_network import OnnxNetwork  # noqa: E402

pytestmark = pytest.mark.usefixtures("eager")


def description(model):
    """A description as `read_description` returns it, with made-up pixel entries."""
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    branches = attention_branches(kinds)
    has_masks = all(f"{branch}_mask" in kinds for branch in branches)
    return {
        "backbone": "antony_clsf", "fusion": "multi_loss", "precision": "float32",
        "branches": branches, "attention": "local" if has_masks else "none",
        "outputs": list(model.output), "image_size": list(model.input.shape[1:3]),
        "channels": 1, "pixel_mean": [0.0], "pixel_deviation": 1.0,
    }  # fmt: skip


def shaken(model):
    """Give the model random batch statistics, masks and biases."""
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
def test_opencv_and_onnxruntime_compute_what_keras_does(tmp_path, backbone, fusion):
    """At 128x96, Antony's first convolution has an odd padding."""
    onnxruntime = pytest.importorskip("onnxruntime")
    keras.utils.set_random_seed(0)
    model = shaken(build_model(backbone, ("att0", "att1"), fusion, (128, 96)))
    path = tmp_path / "model.onnx"
    export_onnx(model, path, description(model))
    knees = np.random.default_rng(1).integers(0, 256, (2, 128, 96, 1)).astype(np.float32)
    network = OnnxNetwork(path)
    values = network(knees)
    others = onnxruntime.InferenceSession(path).run(list(values), {"knee": knees})
    for value, other in zip(values.values(), others, strict=True):
        np.testing.assert_allclose(value, other, atol=5e-6)
    expected = with_masks(model).predict(knees, verbose=0)
    for output in model.output:
        np.testing.assert_allclose(values[output], expected[output], atol=1e-5)
    for branch, mask in masks_among(expected).items():
        np.testing.assert_allclose(values[f"{branch}_mask"], mask, atol=1e-5)
    assert network.description == description(model)


def test_automatic_padding_is_refused(tmp_path):
    """OpenCV 5.0 computes an uneven padding wrongly."""
    def pad_automatically(graph):
        for node in graph.node:
            if node.op_type == "Conv":
                kept = [attribute for attribute in node.attribute if attribute.name != "pads"]
                del node.attribute[:]
                padding = onnx.helper.make_attribute("auto_pad", "SAME_UPPER")
                node.attribute.extend([*kept, padding])

    other_graph(pad_automatically)(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="model.onnx: its graph has automatic padding"):
        OnnxNetwork(tmp_path / "model.onnx")


def test_pooling_without_attention_is_exported_and_other_networks_are_refused(tmp_path):
    model = build_model("antony_clsf", ("att0",), "single", (96, 96), attention="none")
    export_onnx(model, tmp_path / "model.onnx", description(model))
    knees = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 1)).astype(np.float32)
    values = OnnxNetwork(tmp_path / "model.onnx")(knees)["att0"]
    np.testing.assert_allclose(values, model.predict(knees, verbose=0)["att0"], atol=1e-5)
    other = build_model("jetley", (), "plain", (64, 64))
    with pytest.raises(InputError, match="only the paper's networks"):
        export_onnx(other, tmp_path / "other.onnx", {})


@pytest.mark.parametrize("options", [
    {"activation": "elu"}, {"dilation_rate": 2}, {"groups": 2}, {"data_format": "channels_first"},
])  # fmt: skip
def test_a_convolution_that_cannot_be_written_exactly_is_refused(tmp_path, options):
    knee = keras.Input((96, 96, 4), name="knee")
    features = keras.layers.Conv2D(96, 3, padding="same", name="stem", **options)(knee)
    model = keras.Model(knee, {"att0": features})
    with pytest.raises(InputError, match="its layer 'stem' cannot be exported to ONNX"):
        export_onnx(model, tmp_path / "model.onnx", {})


@pytest.mark.parametrize("layer", [
    keras.layers.BatchNormalization(center=False, name="stem"),
    keras.layers.BatchNormalization(axis=1, name="stem"),
    keras.layers.GlobalAveragePooling2D(keepdims=True, name="stem"),
])  # fmt: skip
def test_another_layer_that_cannot_be_written_exactly_is_refused(tmp_path, layer):
    knee = keras.Input((96, 96, 4), name="knee")
    model = keras.Model(knee, {"att0": layer(knee)})
    with pytest.raises(InputError, match="its layer 'stem' cannot be exported to ONNX"):
        export_onnx(model, tmp_path / "model.onnx", {})


def test_weights_that_float16_holds_are_stored_in_it_and_change_nothing(tmp_path):
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    model.set_weights([array.astype(np.float16) for array in model.get_weights()])
    export_onnx(model, tmp_path / "model.onnx", description(model))
    assert (tmp_path / "model.onnx").stat().st_size < 2.2 * model.count_params()
    knees = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 1)).astype(np.float32)
    values = OnnxNetwork(tmp_path / "model.onnx")(knees)["att0"]
    np.testing.assert_allclose(values, model.predict(knees, verbose=0)["att0"], atol=1e-5)


def test_threads_share_a_network(tmp_path):
    model = shaken(build_model("antony_clsf", ("att0",), "single", (96, 96)))
    export_onnx(model, tmp_path / "model.onnx", description(model))
    network = OnnxNetwork(tmp_path / "model.onnx")
    knees = np.random.default_rng(1).integers(0, 256, (16, 1, 96, 96, 1)).astype(np.float32)
    alone = [network(knee)["att0"] for knee in knees]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda knee: network(knee)["att0"], knees)
    np.testing.assert_array_equal(list(together), alone)


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
    found = {"initializer": "its weights are in another file",
             "attribute": "its graph has the operator 'Constant'"}  # fmt: skip
    with pytest.raises(InputError, match=f"model.onnx: {found[place]}"):
        OnnxNetwork(path)


HUGE = b"\x80" * 9 + b"\x01"
"""2 ** 63 as a varint."""


@pytest.mark.parametrize("before", [
    b"\xa3\x06\xa4\x06", b"\x88\x80\x80\x80\x70\x08", b"\x72\x0b\x08" + HUGE,
    b"\x3a\x0d\x0a\x0b\x20" + HUGE, b"\x3a\x0d\x2a\x0b\x48" + HUGE,
], ids=["a group", "a key of 35 bits", "a number as key of the metadata", "a number as operator",
        "a number as weights"])  # fmt: skip
def test_what_cannot_be_followed_is_not_read(tmp_path, before):
    """OpenCV may read groups, so a group could hide weights in another file."""
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model))
    path.write_bytes(before + path.read_bytes())
    with pytest.raises(InputError, match="model.onnx: not a readable ONNX file$"):
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
    with pytest.raises(InputError, match="model.onnx: an attribute of its graph has a tensor or"):
        OnnxNetwork(path)


def test_training_graphs_and_sparse_weights_are_refused(tmp_path):
    def training(model):
        model.training_info.add()

    def sparse(model):
        model.graph.sparse_initializer.add()

    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    path = tmp_path / "model.onnx"
    export_onnx(model, path, description(model))
    for change in (training, sparse):
        whole = onnx.load(path)
        change(whole)
        (tmp_path / "changed.onnx").write_bytes(whole.SerializeToString())
        with pytest.raises(InputError, match="it has training graphs, functions or sparse"):
            OnnxNetwork(tmp_path / "changed.onnx")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(InputError, match="no such model file"):
        OnnxNetwork(path)
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match="not a readable ONNX file"):
        OnnxNetwork(path)
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model) | {"image_size": [64, 64]})
    with pytest.raises(InputError, match="model.onnx: its graph does not match its description"):
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
    found = "attribute of its graph has a tensor" if stored == "attribute" else "not all finite"
    with pytest.raises(InputError, match=f"model.onnx: .*{found}"):
        OnnxNetwork(path)


@pytest.mark.parametrize("given", [
    {"backbone": None}, {"outputs": "att0"}, {"image_size": 96}, {"temperatures": {"att0": 0}},
    {"typical_knee": {"grey": [[0, 1], [1, 0]], "least": 0.1}}, {"experiment": []},
])  # fmt: skip
def test_its_description_is_checked(tmp_path, given):
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model) | given)
    with pytest.raises(InputError, match="model.onnx: a damaged model file"):
        OnnxNetwork(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 10**5])
def test_a_description_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model))
    graph = onnx.load(path)
    graph.metadata_props[0].value = text
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(InputError, match="model.onnx: .*no valid description"):
        OnnxNetwork(path)


def other_graph(change):
    """Write an exported model with a changed graph."""
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))

    def write(path):
        export_onnx(model, path, description(model))
        whole = onnx.load(path)
        change(whole.graph)
        path.write_bytes(whole.SerializeToString())

    return write


def rename_input(graph):
    graph.input[0].name = graph.node[0].input[0] = "film"


def grade_by_the_mask(graph):
    """An output that declares one number per position instead of grades."""
    graph.output[0].CopyFrom(graph.output[1])
    graph.output[0].name = "att0"
    at = next(node for node in graph.node if node.output[0] == "att0")
    at.input[0] = "att0_mask"
    graph.node.remove(at)
    graph.node.append(at)


def lose_the_mask(graph):
    del graph.output[1]


def declare_other_input_type(graph):
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def use_what_nothing_computes(graph):
    """OpenCV 5.0 would end the process with a segmentation fault."""
    graph.node[5].input[0] = "nowhere"


@pytest.mark.parametrize("change", [
    rename_input, grade_by_the_mask, lose_the_mask, declare_other_input_type,
    use_what_nothing_computes,
])  # fmt: skip
def test_a_graph_that_is_not_that_of_its_description_is_refused(tmp_path, change):
    other_graph(change)(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="its graph does not match|not a readable ONNX file"):
        OnnxNetwork(tmp_path / "model.onnx")


def test_a_graph_that_cannot_be_computed_says_so(tmp_path):
    """A dense layer for other features, which fails only when the graph runs."""
    def misfit(graph):
        for dimension in graph.input[0].type.tensor_type.shape.dim[1:3]:
            dimension.dim_value = 128

    model = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    path = tmp_path / "model.onnx"
    export_onnx(model, path, description(model) | {"image_size": [128, 128]})
    whole = onnx.load(path)
    misfit(whole.graph)
    path.write_bytes(whole.SerializeToString())
    with pytest.raises(InputError, match="cannot run its graph|not a readable ONNX file"):
        OnnxNetwork(path)(np.zeros((1, 128, 128, 1), np.float32))


def test_grades_of_another_number_than_declared_are_refused(tmp_path):
    """A head of three grades where five are declared: only a run shows it."""
    def grade_to_two(graph):
        head = next(node for node in graph.node if node.op_type == "Gemm")
        for stored in graph.initializer:
            if stored.name in head.input[1:]:
                fewer = onnx.numpy_helper.to_array(stored)[..., :3]
                stored.CopyFrom(onnx.numpy_helper.from_array(fewer.copy(), stored.name))

    other_graph(grade_to_two)(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="its graph does not match"):
        OnnxNetwork(tmp_path / "model.onnx")(np.zeros((1, 96, 96, 1), np.float32))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("place", ["the graph", "a function"])
def test_operators_that_are_never_exported_are_refused_before_they_run(tmp_path, place):
    """An endless Loop of constants, which would run while the file is loaded."""
    path = tmp_path / "model.onnx"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, path, description(model))
    whole = onnx.load(path)
    boolean, helper = onnx.TensorProto.BOOL, onnx.helper
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])], "body",
        [helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, []),
         helper.make_tensor_value_info("go", boolean, [])],
        [helper.make_tensor_value_info("on", boolean, [])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["", "yes"], [], body=body)
    yes = helper.make_node("Constant", [], ["yes"], value_int=1)
    if place == "a function":
        function = helper.make_function("own", "Relu", ["x"], ["x"], [loop, yes], [])
        whole.functions.append(function)
    else:
        whole.graph.node.extend([yes, loop])
    path.write_bytes(whole.SerializeToString())
    found = "functions or sparse" if place == "a function" else "has the operator 'Constant', which"
    with pytest.raises(InputError, match=found):
        OnnxNetwork(path)
