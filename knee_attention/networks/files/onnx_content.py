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

NODE, INITIALIZER, INPUT, OUTPUT = 1, 5, 11, 12
"""Fields of a GraphProto: its nodes, its constants, and the declarations of inputs and outputs."""

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

ATTRIBUTE_NAME, TEXT, INTEGERS = 1, 4, 8
"""Fields of an AttributeProto: its name, and those that can contain its value."""

OPERATORS = frozenset({
    "Add", "BatchNormalization", "Cast", "Concat", "Conv", "Div", "Flatten", "Gemm", "Identity",
    "Max", "MaxPool", "Mul", "Pad", "ReduceSum", "Relu", "Sigmoid", "Softmax", "Squeeze", "Sum",
    "Transpose",
})  # fmt: skip
"""Operators that `export_onnx` writes. A graph with others (such as Loop) may never end."""

INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""`{message: {field: message in it}}`, for the fields of onnx.proto that lead to tensors and nodes.
"""

DEEPEST = 100
"""Largest nesting depth of messages, the limit of protocol buffers."""


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
        InputError: weights in another file, an operator that `export_onnx` never writes, a padding
            that OpenCV computes wrongly, weights that are not finite, a node that uses what no
            earlier node computes, or a file that cannot be parsed.
    """
    finite, uneven, operators = True, False, set()
    try:
        for message, field, value in _all_fields(memoryview(content)):
            if message == "tensor" and field in (EXTERNAL_DATA, DATA_LOCATION):
                raise InputError(f"{path}: its weights are in another file, which is not read; "
                                 "export the model to a single file")
            if (message, field) == ("node", OPERATOR):
                operators.add(value.tobytes().decode(errors="replace"))
            if INSIDE[message].get(field) == "node":
                uneven = uneven or _may_pad_unevenly(value)
            if INSIDE[message].get(field) == "tensor":
                finite = finite and _is_finite(value)
        others = sorted(operators - OPERATORS)
        if others:
            raise InputError(f"{path}: its graph has the operator {others[0][:80]!r}, which no "
                             "exported model has; export the model again")
        if uneven:
            raise InputError(f"{path}: written by an older version, without the padding in "
                             "numbers that OpenCV needs; export the model again")
        if not finite:
            raise InputError(f"{path}: its weights are not all finite numbers of float16 or "
                             "float32")
        return _declarations(memoryview(content))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable ONNX file") from None


def _may_pad_unevenly(node: memoryview) -> bool:
    """Whether a node leaves a padding to OpenCV that may differ between two sides.

    Files of older versions have an `auto_pad`, and all their strides of 1 have odd kernels. OpenCV
    5.0 computes an uneven padding wrongly.
    """
    attributes = {}
    for number, value in _fields(node):
        if number == ATTRIBUTE:
            found = list(_fields(value))
            name = dict(found)[ATTRIBUTE_NAME].tobytes()
            attributes[name] = [held for field, held in found if field in (TEXT, INTEGERS)]
    padding = [text.tobytes() for text in attributes.get(b"auto_pad", ())]
    return padding not in ([], [b"VALID"]) and attributes.get(b"strides") != [1, 1]


def _declarations(content: memoryview) -> OnnxContent:
    model = list(_fields(content))
    graph = [field for number, value in model if number == GRAPH for field in _fields(value)]
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


def _all_fields(
    content: memoryview, message: str = "model", depth: int = 1
) -> Iterator[tuple[str, int, memoryview | int]]:
    """The fields of a message and of those nested in it.

    Yields:
        for every field: the type of its message, its number, and its value.

    Raises:
        ValueError: damaged content, or messages nested too deep.
    """
    if depth > DEEPEST:
        raise ValueError
    for field, value in _fields(content):
        yield message, field, value
        if field in INSIDE[message] and not isinstance(value, int):
            yield from _all_fields(value, INSIDE[message][field], depth + 1)


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
