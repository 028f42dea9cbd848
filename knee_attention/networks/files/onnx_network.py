"""Run an exported ONNX file with onnxruntime, without Keras or TensorFlow."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError, how_to_install, missing_raises
from knee_attention.networks.files.description import check_description
from knee_attention.networks.files.loaded_file import LoadedFile

DESCRIPTION = "knee_attention"
"""Key of the description in a file's metadata."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a TensorProto (onnx.proto) that only occur if its data are in another file."""

DATA_TYPE, FLOAT_DATA, RAW_DATA = 2, 4, 9
"""Fields of a TensorProto: its data type, and two fields that can contain its values."""

FLOAT, INT64 = 1, 7
"""Data types that `export_onnx` writes."""

OPERATOR = 4
"""Field of a NodeProto with the name of its operator."""

OPERATORS = frozenset({
    "Add", "BatchNormalization", "Concat", "Conv", "Div", "Flatten", "Gemm", "Identity", "Max",
    "MaxPool", "Mul", "Pad", "ReduceSum", "Relu", "Sigmoid", "Softmax", "Squeeze", "Sum",
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


class OnnxNetwork:
    """A network of an `.onnx` file, ready to grade.

    Args:
        path: a file of `export_onnx`.

    Attributes:
        path: the file.
        file: its `LoadedFile`.
        description: the description in the file.

    Raises:
        InputError: onnxruntime is not installed; or no such file, a damaged file, a file of
            another project, weights in another file, or an operator that `export_onnx` never
            writes.
    """

    def __init__(self, path: str | os.PathLike):
        # onnxruntime 1.29 sends telemetry unless this is set before the import.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        missing = InputError(f"an .onnx model needs onnxruntime: {how_to_install('onnx')}")
        with missing_raises(missing, "onnxruntime"):
            import onnxruntime
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such model file")
        self.path, self.file = path, LoadedFile(path)
        content = path.read_bytes()
        _refuse_other_content(content, path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # only fatal errors; exceptions report the others
        # Threads that spin while they wait slow down the threads that read the next films.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise InputError(f"{path}: not a readable ONNX file ({str(error).splitlines()[0]})"
                             ) from None
        try:
            text = self._session.get_modelmeta().custom_metadata_map[DESCRIPTION]
            self.description = {**json.loads(text)}
        except (KeyError, RecursionError, TypeError, ValueError):
            raise InputError(f"{path}: not an ONNX file of this project (its metadata have no "
                             "valid description)") from None
        check_description(self.description, path)
        self._names = [output.name for output in self._session.get_outputs()]
        if not self._is_as_described():
            raise InputError(f"{path}: its graph does not match its description; export the model "
                             "again")

    def _is_as_described(self) -> bool:
        """Whether the graph's input, output names and output ranks match the description."""
        description = self.description
        inputs = [(one.name, one.type, one.shape[1:]) for one in self._session.get_inputs()]
        ranks = {one.name: len(one.shape) for one in self._session.get_outputs()}
        wanted = dict.fromkeys(description["outputs"], 2)
        wanted |= {f"{branch}_mask": 3 for branch in description["branches"]}
        knee = ("knee", "tensor(float)", [*description["image_size"], 1])
        return inputs == [knee] and ranks == wanted

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            images: `(n, height, width, 1)` float32, 0-255.

        Returns:
            `{name: array}`: probabilities `(n, 5)` of every output and the mask
            `(n, mask height, mask width)` of every branch.

        Raises:
            InputError: onnxruntime cannot run the graph.
        """
        try:
            values = self._session.run(self._names, {"knee": images})
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise InputError(f"{self.path}: onnxruntime cannot run its graph "
                             f"({str(error).splitlines()[0]})") from None
        return dict(zip(self._names, values, strict=True))


def _refuse_other_content(content: bytes, path: Path) -> None:
    """Refuse a file that `export_onnx` cannot have written, before onnxruntime reads it.

    The package `onnx` could parse the file, but its import takes half a second.

    Raises:
        InputError: weights in another file, an operator that `export_onnx` never writes, weights
            that are not finite, or a file that cannot be parsed.
    """
    finite, operators = True, set()
    try:
        for message, field, value in _fields(memoryview(content)):
            if message == "tensor" and field in (EXTERNAL_DATA, DATA_LOCATION):
                raise InputError(f"{path}: its weights are in another file, which is not read; "
                                 "export the model to a single file")
            if (message, field) == ("node", OPERATOR):
                operators.add(bytes(value).decode(errors="replace"))
            if INSIDE[message].get(field) == "tensor":
                finite = finite and _is_finite(value)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable ONNX file") from None
    others = sorted(operators - OPERATORS)
    if others:
        raise InputError(f"{path}: its graph has the operator {others[0][:80]!r}, which no "
                         "exported model has; export the model again")
    if not finite:
        raise InputError(f"{path}: its weights are not all finite float32 numbers")


def _fields(
    content: memoryview, message: str = "model", depth: int = 1
) -> Iterator[tuple[str, int, memoryview | int]]:
    """Parse the wire format of protocol buffers; nested messages are parsed too.

    Yields:
        for every field: the type of its message, its number, and its value.

    Raises:
        ValueError: damaged content, messages nested too deep, or groups, which ONNX does not use.
    """
    if depth > DEEPEST:
        raise ValueError
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
        yield message, field, value
        if kind == 2 and field in INSIDE[message]:
            yield from _fields(value, INSIDE[message][field], depth + 1)


def _is_finite(tensor: memoryview) -> bool:
    """Whether a TensorProto contains int64 values or finite float32 values."""
    kind, stored = None, []
    for _, field, value in _fields(tensor, "tensor"):
        if field == DATA_TYPE:
            kind = value
        elif field in (FLOAT_DATA, RAW_DATA):
            stored.append(bytes(value))
    if kind == FLOAT:
        return bool(np.isfinite(np.frombuffer(b"".join(stored), "<f4")).all())
    return kind == INT64


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """Decode a varint (seven bits per byte, lowest first); returns it and the next position."""
    value = 0
    for position in range(at, min(at + 10, len(content))):
        value |= (content[position] & 127) << 7 * (position - at)
        if content[position] < 128:
            return value, position + 1
    raise ValueError
