"""ONNX files: they grade by onnxruntime, without Keras or TensorFlow."""

import json
import os
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError

DESCRIPTION = "knee_attention"
"""The entry of a file's metadata in which it describes itself."""


class OnnxNetwork:
    """An `.onnx` file of `export_onnx`, ready to grade.

    Args:
        path: the file.

    Attributes:
        description: what the file says of itself.

    Raises:
        InputError: onnxruntime is not installed; no such file, a damaged one, or one of another
            project.
    """

    def __init__(self, path: str | os.PathLike):
        try:
            import onnxruntime
        except ImportError:
            raise InputError('an .onnx model needs onnxruntime: pip install "knee_attention[onnx]"'
                             ) from None
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such model file")
        onnxruntime.set_default_logger_severity(4)  # what is wrong is said by the exception
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), providers=onnxruntime.get_available_providers()
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
