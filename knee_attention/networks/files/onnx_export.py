"""Export a Keras model to ONNX.

The file uses the axis order of ONNX (batch, channels, height, width) and computes in float32.
OpenCV from 4.11 on runs it.
"""

import json
import os
from collections.abc import Mapping

import numpy as np

from knee_attention.errors import InputError, how_to_install, missing_raises
from knee_attention.files import written_whole
from knee_attention.networks.files.description import DESCRIPTION
from knee_attention.networks.files.onnx_layers import WRITERS, Graph, can_write

OPSET, IR_VERSION = 17, 8
"""Versions of 2022, which OpenCV 4.11 reads."""


def export_onnx(model, path: str | os.PathLike, description: Mapping) -> None:
    """Write a model as an ONNX file, which appears whole or not at all.

    The input `knee` is `(n, height, width, 1)` float32, 0-255. The outputs are those of the model
    and one mask `<branch>_mask` per branch that has one, `(n, mask height, mask width)`. Weights
    that float16 represents exactly, as those of a shipped model, are stored in float16.

    Args:
        model: a Keras model of `build_model`.
        path: an `.onnx` file.
        description: written to the file's metadata; as `model_files.read_description` returns it.

    Raises:
        InputError: the package onnx is not installed, the model has a layer or an option of
            a layer that the paper's networks lack, or the file cannot be written.
    """
    onnx_package()
    for layer in model.layers:
        if not can_write(layer):
            raise InputError(f"{model.name}: its layer {layer.name!r} cannot be exported to ONNX; "
                             "only the paper's networks can")
    graph = Graph()
    graph.add("Transpose", ["knee"], graph.name_of(model.input), perm=[0, 3, 1, 2])
    for layer in model.layers:
        WRITERS[type(layer).__name__](graph, layer)
    outputs = {}
    for name, tensor in model.output.items():
        graph.add("Identity", [graph.name_of(tensor)], name)
        outputs[name] = ["n", *tensor.shape[1:]]
    for layer in model.layers:
        if layer.name.endswith("_mask"):
            axis = graph.constant(np.array([1], np.int64))
            graph.add("Squeeze", [graph.name_of(layer.output), axis], layer.name)
            outputs[layer.name] = ["n", *layer.output.shape[1:3]]
    inputs = {"knee": ["n", *model.input.shape[1:]]}
    write_graph(graph, model.name, inputs, outputs, path, {DESCRIPTION: json.dumps(description)})


def write_graph(
    graph: Graph,
    name: str,
    inputs: Mapping[str, list],
    outputs: Mapping[str, list],
    path: str | os.PathLike,
    properties: Mapping[str, str] | None = None,
) -> None:
    """Write a graph as an ONNX file, which appears whole or not at all.

    Args:
        graph: the nodes and constant arrays.
        name: the graph's name.
        inputs, outputs: the shape of each tensor, by name.
        path: an `.onnx` file.
        properties: written to the file's metadata.

    Raises:
        InputError: the package onnx is not installed, or the file cannot be written.
    """
    onnx = onnx_package()
    ends = [
        [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape)
         for end, shape in each.items()]
        for each in (inputs, outputs)
    ]  # fmt: skip
    nodes = [onnx.helper.make_node(kind, *names, **options) for kind, names, options in graph.nodes]
    arrays = [onnx.numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]
    written = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, name, *ends, arrays),
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="knee_attention",
    )
    onnx.helper.set_model_props(written, dict(properties or {}))
    onnx.checker.check_model(written)
    with written_whole(path) as beside:
        onnx.save(written, beside)


def onnx_package():
    """Import the package onnx, which is an optional dependency.

    Raises:
        InputError: it is not installed.
    """
    missing = InputError(f"writing an ONNX file needs the package onnx: {how_to_install('onnx')}")
    with missing_raises(missing, "onnx"):
        import onnx
    return onnx
