"""Read an ONNX file, and refuse content that `export_onnx` never writes, before OpenCV sees it.

The package `onnx` could parse the file, but its import takes half a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError

GRAPH, METADATA = 7, 14
"""Fields of a ModelProto (onnx.proto)."""

TRAINING, FUNCTIONS = 20, 25
"""Fields of a ModelProto that can contain further graphs."""

NODE, INITIALIZER, INPUT, OUTPUT = 1, 5, 11, 12
"""Fields of a GraphProto: its nodes, its constants, and the declarations of inputs and outputs."""

SPARSE_INITIALIZER = 15
"""Field of a GraphProto: constants in another format."""

NODE_INPUT, NODE_OUTPUT, TENSOR_NAME = 1, 2, 8
"""Fields of a NodeProto and of a TensorProto: names of tensors."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a TensorProto that only occur if its data are in another file."""

DATA_TYPE, FLOAT_DATA, INT32_DATA, RAW_DATA = 2, 4, 5, 9
"""Fields of a TensorProto: its data type, and those that can contain its values."""

FLOAT, INT64, FLOAT16 = 1, 7, 10
"""Data types that `export_onnx` writes."""

OPERATOR, ATTRIBUTE = 4, 5
"""Fields of a NodeProto: its operator and its attributes."""

ATTRIBUTE_NAME = 1
"""Field of an AttributeProto: its name."""

PLAIN_FIELDS = frozenset({ATTRIBUTE_NAME, 2, 3, 4, 7, 8, 9, 13, 20, 21})
"""Fields of an AttributeProto with names, numbers and texts; the others can contain tensors and
graphs."""

OPERATORS = frozenset({
    "Add", "BatchNormalization", "Cast", "Concat", "Conv", "Div", "Flatten", "Gemm", "Identity",
    "Max", "MaxPool", "Mul", "Pad", "ReduceSum", "Relu", "Sigmoid", "Softmax", "Squeeze", "Sum",
    "Transpose",
})  # fmt: skip
"""Operators that `export_onnx` writes. A graph with others (such as Loop) may never end."""


@dataclass(frozen=True)
class OnnxContent:
    """What an ONNX file declares.

    Attributes:
        metadata: texts by key.
        inputs, outputs: `{name: (data type, shape)}`; a side of any length is None in the shape.
    """

    metadata: dict[str, str]
    inputs: dict[str, tuple[int, list[int | None]]]
    outputs: dict[str, tuple[int, list[int | None]]]


def read_onnx(content: bytes, path: Path) -> OnnxContent:
    """The declarations of an ONNX file, whose nodes and weights are checked.

    Args:
        content: the bytes of the file.
        path: the file, for messages.

    Raises:
        InputError: content that `export_onnx` never writes, such as weights in another file or an
            unknown operator; weights that are not finite; a node that uses what no earlier node
            computes; or a file that cannot be parsed.
    """
    try:
        model = list(_fields(memoryview(content)))
        graph = [field for number, value in model if number == GRAPH for field in _fields(value)]
        if any(number in (TRAINING, FUNCTIONS) for number, _ in model) or any(
            number == SPARSE_INITIALIZER for number, _ in graph
        ):
            raise InputError(f"{path}: it has training graphs, functions or sparse weights, which "
                             "no exported model has; export the model again")
        for number, value in graph:
            if number == NODE:
                _check_node(value, path)
            elif number == INITIALIZER:
                _check_weights(value, path)
        return _declarations(model, graph)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable ONNX file") from None


def _check_node(node: memoryview, path: Path) -> None:
    """Refuse a NodeProto that `export_onnx` never writes."""
    others = {name.decode(errors="replace") for name in _names(node, OPERATOR)} - OPERATORS
    if others:
        raise InputError(f"{path}: its graph has the operator {min(others)[:80]!r}, which no "
                         "exported model has; export the model again")
    for number, value in _fields(node):
        if number != ATTRIBUTE:
            continue
        if b"auto_pad" in _names(value, ATTRIBUTE_NAME):
            raise InputError(f"{path}: its graph has automatic padding (auto_pad), which OpenCV "
                             "may compute wrongly; export the model again")
        if any(field not in PLAIN_FIELDS for field, _ in _fields(value)):
            raise InputError(f"{path}: an attribute of its graph has a tensor or a graph, which no "
                             "exported model has; export the model again")


def _check_weights(tensor: memoryview, path: Path) -> None:
    """Refuse a TensorProto with its data in another file, or with numbers that are not finite."""
    if any(field in (EXTERNAL_DATA, DATA_LOCATION) for field, _ in _fields(tensor)):
        raise InputError(f"{path}: its weights are in another file, which is not read; export the "
                         "model to a single file")
    if not _is_finite(tensor):
        raise InputError(f"{path}: its weights are not all finite numbers of float16 or float32")


def _declarations(model: list[tuple], graph: list[tuple]) -> OnnxContent:
    """The declarations among the fields of a ModelProto and of its graph."""
    entries = [dict(_fields(value)) for number, value in model if number == METADATA]
    metadata = {entry[1].tobytes().decode(): entry[2].tobytes().decode() for entry in entries}
    inputs, outputs = (
        dict(_declared_value(value) for number, value in graph if number == wanted)
        for wanted in (INPUT, OUTPUT)
    )
    known = {name.encode() for name in inputs}
    for number, value in graph:
        if number == INITIALIZER:
            known |= _names(value, TENSOR_NAME)
    for number, value in graph:
        if number == NODE:
            if not _names(value, NODE_INPUT) <= known:  # OpenCV would crash
                raise ValueError
            known |= _names(value, NODE_OUTPUT)
    if not {name.encode() for name in outputs} <= known:
        raise ValueError
    return OnnxContent(metadata, inputs, outputs)


def _names(message: memoryview, field: int) -> set[bytes]:
    return {value.tobytes() for number, value in _fields(message) if number == field}


def _declared_value(content: memoryview) -> tuple[str, tuple[int, list[int | None]]]:
    """Name, data type and shape in a ValueInfoProto of a tensor."""
    value = dict(_fields(content))
    tensor = dict(_fields(dict(_fields(value[2]))[1]))
    sides = [dict(_fields(side)).get(1) for _, side in _fields(tensor[2])]
    return value[1].tobytes().decode(), (tensor[1], sides)


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field of a message, in the wire format of protocol buffers.

    Raises:
        ValueError: damaged content, or groups, which ONNX does not use.
    """
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(content, at)
        elif kind in (1, 2, 5):
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, at = _varint(content, at)
            value = content[at : at + size]
            at += size
        else:
            raise ValueError
        if key >= 2**32 or at > len(content):
            raise ValueError
        yield field, value


def _is_finite(tensor: memoryview) -> bool:
    """Whether a TensorProto contains int64 values, or finite float16 or float32 values."""
    kind, stored = None, {}
    for field, value in _fields(tensor):
        if field == DATA_TYPE:
            kind = value
        elif field in (FLOAT_DATA, INT32_DATA, RAW_DATA):
            stored.setdefault(field, []).append(value.tobytes())
    if kind == FLOAT:
        numbers = np.frombuffer(b"".join(sum(stored.values(), [])), "<f4")
    elif kind == FLOAT16 and INT32_DATA not in stored:
        numbers = np.frombuffer(b"".join(stored.get(RAW_DATA, [])), "<f2")
    else:
        return kind == INT64
    return bool(np.isfinite(numbers).all())


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """Decode a varint (seven bits per byte, lowest first); returns it and the next position."""
    value = 0
    for position in range(at, min(at + 10, len(content))):
        value |= (content[position] & 127) << 7 * (position - at)
        if content[position] < 128:
            return value, position + 1
    raise ValueError
