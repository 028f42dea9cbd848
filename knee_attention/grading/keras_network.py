"""A saved Keras model for grading: probabilities and masks in one pass."""

import os

import keras
import numpy as np

from knee_attention import device
from knee_attention.networks.attention import MASK_SUFFIX, with_masks
from knee_attention.networks.files.location import file_digest, refuse_replaced
from knee_attention.networks.files.model_files import (
    existing_model_file,
    load_model,
    read_description,
)

FEW = 8
"""With at most this many knees, compiling the graph takes longer than it saves."""


class KerasNetwork:
    """An `.h5` or `.keras` file, ready to grade.

    Args:
        path: the file.

    Attributes:
        path: the file.
        digest: SHA-256 of the file, as a hexadecimal string.
        description: the metadata of the file, see `read_description`.

    Raises:
        InputError: the file does not exist, is damaged, is not a model of this project, or is
            replaced while it is read.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = existing_model_file(path)
        self.digest = file_digest(self.path)
        self.description = read_description(path)
        model = load_model(path)
        refuse_replaced(self.path, self.digest)
        self._network = with_masks(model)
        self._network.jit_compile = device.choose_jit_compile()

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            images: `(n, height, width, 1)` float32, 0-255.

        Returns:
            `{name: array}`: probabilities `(n, 5)` of every output, or grades `(n, 1)` of
            `regression`; and the mask `(n, mask height, mask width)` of every branch that has one.
        """
        if len(images) <= FEW:
            values = self._network(images, training=False)
            values = {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}
        else:
            values = self._network.predict_on_batch(images)
        return {
            name: value[..., 0] if name.endswith(MASK_SUFFIX) else value
            for name, value in values.items()
        }
