"""ONNX files: they grade by onnxruntime, without Keras or TensorFlow."""

import json
import os
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError, missing_raises
from knee_attention.networks.files.loaded_file import LoadedFile

DESCRIPTION = "knee_attention"
"""The entry of a file's metadata in which it describes itself."""


EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a TensorProto in onnx.proto that only a tensor in another file has."""

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
"""Which fields of which message of onnx.proto lead to tensors, and by which message."""

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
            project, or one whose weights lie in other files.
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
        try:
            elsewhere = _lies_elsewhere(memoryview(content))
        except ValueError:
            raise InputError(f"{path}: no readable ONNX file") from None
        if elsewhere:
            raise InputError(f"{path}: its weights lie in another file, which is not read; all of "
                             "an ONNX file has to be in it")
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
            self.description = json.loads(
                self._session.get_modelmeta().custom_metadata_map[DESCRIPTION]
            )
            self._names = [output.name for output in self._session.get_outputs()]
            [knee] = self._session.get_inputs()
            fits = knee.shape[1:3] == self.description["image_size"]
            if not fits or not set(self.description["outputs"]) <= set(self._names):
                raise ValueError
        except (KeyError, ValueError, TypeError):
            raise InputError(f"{path}: no ONNX file of this project, it does not describe itself"
                             ) from None

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities `(n, 5)` of every output and masks of every branch, by name.

        Args:
            images: `(n, height, width, 1)` float32, 0-255.
        """
        values = self._session.run(self._names, {"knee": images})
        return dict(zip(self._names, values, strict=True))


def _lies_elsewhere(content: memoryview, message: str = "model", depth: int = 1) -> bool:
    """Whether a tensor of an ONNX file, in the wire format of protocol buffers, is in another file.

    The package `onnx` could tell, but takes half a second to import.

    Raises:
        ValueError: it cannot be followed: damaged, too deep, or with groups, which ONNX lacks.
    """
    if depth > DEEPEST:
        raise ValueError
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        field, kind = key >> 3, key & 7
        if message == "tensor" and field in (EXTERNAL_DATA, DATA_LOCATION):
            return True
        if kind == 2:
            size, at = _varint(content, at)
            inside = INSIDE[message].get(field)
            if inside and _lies_elsewhere(content[at : at + size], inside, depth + 1):
                return True
            at += size
        elif kind == 0:
            _, at = _varint(content, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError
        if key >= 2**32 or at > len(content):
            raise ValueError
    return False


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the position after it."""
    value = 0
    for position in range(at, min(at + 10, len(content))):
        value |= (content[position] & 127) << 7 * (position - at)
        if content[position] < 128:
            return value, position + 1
    raise ValueError
