"""ONNX files: they grade by onnxruntime, without Keras or TensorFlow."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError, missing_raises
from knee_attention.networks.files.description import check_description
from knee_attention.networks.files.loaded_file import LoadedFile

DESCRIPTION = "knee_attention"
"""The entry of a file's metadata in which it describes itself."""


EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a TensorProto in onnx.proto that only a tensor in another file has."""

DATA_TYPE, FLOAT_DATA, RAW_DATA = 2, 4, 9
"""Fields of a TensorProto: what its numbers are, and where they may lie."""

FLOAT, INT64 = 1, 7
"""The data types that `export_onnx` writes."""

OPERATOR = 4
"""The field of a NodeProto that names its operator."""

OPERATORS = frozenset({
    "Add", "BatchNormalization", "Concat", "Conv", "Div", "Flatten", "Gemm", "Identity", "Max",
    "MaxPool", "Mul", "Pad", "ReduceSum", "Relu", "Sigmoid", "Softmax", "Squeeze", "Sum",
    "Transpose",
})  # fmt: skip
"""Those that `export_onnx` writes. With others a graph may run for ever."""

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
"""Which fields of which message of onnx.proto lead to tensors and nodes, and by which message."""

DEEPEST = 100
"""How many messages may lie inside one another, as protocol buffers have it."""


class OnnxNetwork:
    """An `.onnx` file of `export_onnx`, ready to grade.

    Args:
        path: the file.

    Attributes:
        path, file: the file.
        description: what the file says of itself.

    Raises:
        InputError: onnxruntime is not installed; no such file, a damaged one, one of another
            project, one whose weights lie in other files, or one with operators that are never
            exported.
    """

    def __init__(self, path: str | os.PathLike):
        # Since 1.29 it reports to its makers, unless it is told not to before it is imported.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        lacking = InputError('an .onnx model needs onnxruntime: pip install "knee_attention[onnx]"')
        with missing_raises(lacking, "onnxruntime"):
            import onnxruntime
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such model file")
        self.path, self.file = path, LoadedFile(path)
        content = path.read_bytes()
        _refuse_other_content(content, path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is said by the exception
        # Threads that wait in a loop take the processor from those that read the next films.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise InputError(f"{path}: no readable ONNX file ({str(error).splitlines()[0]})"
                             ) from None
        try:
            said = self._session.get_modelmeta().custom_metadata_map[DESCRIPTION]
            self.description = {**json.loads(said)}
        except (KeyError, RecursionError, TypeError, ValueError):
            raise InputError(f"{path}: no ONNX file of this project, it does not describe itself"
                             ) from None
        check_description(self.description, path)
        self._names = [output.name for output in self._session.get_outputs()]
        if not self._is_as_described():
            raise InputError(f"{path}: its graph is not that of its description; export the model "
                             "again")

    def _is_as_described(self) -> bool:
        """Whether the graph takes and gives what the description says, as far as it declares it."""
        said = self.description
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        taken = [(given.name, given.type, given.shape[1:]) for given in inputs]
        ranks = {given.name: len(given.shape) for given in outputs}
        wanted = dict.fromkeys(said["outputs"], 2)
        wanted |= {f"{branch}_mask": 3 for branch in said["branches"]}
        return taken == [("knee", "tensor(float)", [*said["image_size"], 1])] and ranks == wanted

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities `(n, 5)` of every output and masks of every branch, by name.

        Args:
            images: `(n, height, width, 1)` float32, 0-255.

        Raises:
            InputError: the graph cannot be computed.
        """
        try:
            values = self._session.run(self._names, {"knee": images})
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise InputError(f"{self.path}: its graph cannot be computed "
                             f"({str(error).splitlines()[0]})") from None
        return dict(zip(self._names, values, strict=True))


def _refuse_other_content(content: bytes, path: Path) -> None:
    """Refuse what no file of `export_onnx` holds, before onnxruntime reads it.

    The package `onnx` could read the file, but takes half a second to import.

    Raises:
        InputError: weights in another file, an operator that is never exported, weights that are
            not finite, or a file that cannot be followed.
    """
    finite, operators = True, set()
    try:
        for message, field, value in _fields(memoryview(content)):
            if message == "tensor" and field in (EXTERNAL_DATA, DATA_LOCATION):
                raise InputError(f"{path}: its weights lie in another file, which is not read; all "
                                 "of an ONNX file has to be in it")
            if (message, field) == ("node", OPERATOR):
                operators.add(bytes(value).decode(errors="replace"))
            if INSIDE[message].get(field) == "tensor":
                finite = finite and _is_finite(value)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: no readable ONNX file") from None
    others = sorted(operators - OPERATORS)
    if others:
        raise InputError(f"{path}: its graph holds the operator {others[0][:80]!r}, which no "
                         "exported model has; export the model again")
    if not finite:
        raise InputError(f"{path}: its weights are not all finite numbers of float32")


def _fields(
    content: memoryview, message: str = "model", depth: int = 1
) -> Iterator[tuple[str, int, memoryview | int]]:
    """Every field of an ONNX file in the wire format of protocol buffers, with what lies inside.

    Yields:
        The message it is a field of, its number, and its value.

    Raises:
        ValueError: it cannot be followed: damaged, too deep, or with groups, which ONNX lacks.
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
    """Whether a TensorProto holds whole numbers, or float32 ones that are finite."""
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
    """A number of seven bits a byte, the lowest first, and the position after it."""
    value = 0
    for position in range(at, min(at + 10, len(content))):
        value |= (content[position] & 127) << 7 * (position - at)
        if content[position] < 128:
            return value, position + 1
    raise ValueError
