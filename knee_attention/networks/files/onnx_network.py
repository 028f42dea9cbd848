"""Run an exported ONNX file with OpenCV, without Keras or TensorFlow."""

import json
import os
from hashlib import sha256
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.networks.files.description import (
    DESCRIPTION,
    check_description,
    masked_branches,
)
from knee_attention.networks.files.onnx_content import FLOAT, OnnxContent, read_onnx


class OnnxNetwork:
    """A network of an `.onnx` file, ready to grade. It is thread-safe.

    Args:
        path: a file of `export_onnx`.

    Attributes:
        path: the file.
        digest: SHA-256 of the file, as a hexadecimal string.
        description: the description in the file.

    Raises:
        InputError: no such file, a damaged file, a file of another project, weights in another
            file, or an operator that `export_onnx` never writes.
    """

    def __init__(self, path: str | os.PathLike):
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such model file")
        self.path, content = path, path.read_bytes()
        self.digest = sha256(content).hexdigest()
        declared = read_onnx(content, path)
        try:
            self.description = {**json.loads(declared.metadata[DESCRIPTION])}
        except (KeyError, RecursionError, TypeError, ValueError):
            raise InputError(f"{path}: not an ONNX file of this project (its metadata have no "
                             "valid description)") from None
        check_description(self.description, path)
        if not _is_as_described(declared, self.description):
            raise self._mismatch()
        self._shapes = {name: (1, *shape[1:]) for name, (_, shape) in declared.outputs.items()}
        try:
            self._network = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
        except cv2.error as error:
            raise InputError(f"{path}: not a readable ONNX file ({_reason(error)})") from None
        self._lock = Lock()  # an OpenCV network stores its input

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network on one knee after another; batches are not faster.

        Args:
            images: `(n, height, width, 1)` float32, 0-255.

        Returns:
            `{name: array}`: probabilities `(n, 5)` of every output, or grades `(n, 1)` of
            `regression`; and the mask `(n, mask height, mask width)` of every branch that has one.

        Raises:
            InputError: OpenCV cannot run the graph, or the graph does not match its description.
        """
        rows = [self._run(images[place : place + 1]) for place in range(len(images))]
        return {
            name: np.concatenate([row[place] for row in rows])
            for place, name in enumerate(self._shapes)
        }

    def _run(self, image: np.ndarray) -> list[np.ndarray]:
        try:
            with self._lock:
                self._network.setInput(image, "knee")
                values = self._network.forward(list(self._shapes))
        except cv2.error as error:
            raise InputError(f"{self.path}: OpenCV cannot run its graph ({_reason(error)})"
                             ) from None
        if [np.shape(value) for value in values] != list(self._shapes.values()):
            raise self._mismatch()
        return list(values)

    def _mismatch(self) -> InputError:
        return InputError(f"{self.path}: its graph does not match its description; export the "
                          "model again")


def _is_as_described(declared: OnnxContent, description: dict) -> bool:
    """Whether input, output names, data types and ranks match the description."""
    ranks = {
        name: len(shape)
        for name, (kind, shape) in declared.outputs.items()
        if kind == FLOAT and None not in shape[1:]
    }
    wanted = dict.fromkeys(description["outputs"], 2)
    wanted |= {f"{branch}_mask": 3 for branch in masked_branches(description)}
    knee = (FLOAT, [None, *description["image_size"], 1])
    return declared.inputs == {"knee": knee} and ranks == wanted


def _reason(error: cv2.error) -> str:
    """OpenCV's reason in one line."""
    return (getattr(error, "err", None) or str(error)).strip().splitlines()[0]
