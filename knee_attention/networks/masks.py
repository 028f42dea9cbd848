"""Attention masks of a network, in addition to its outputs."""

from collections.abc import Mapping

import keras
import numpy as np

MASK_SUFFIX = "_mask"
"""Suffix of a mask's layer name: the mask of `att0` is `att0_mask`."""


def with_masks(model: keras.Model) -> keras.Model:
    """The same model with its attention masks as further outputs.

    Args:
        model: a model of `build_model`.

    Returns:
        a model that shares the layers. Its outputs are those of `model` and one mask
        `<branch>_mask` per branch, `(batch, h, w, 1)` float32 in 0-1.

    Example:

    >>> from knee_attention.networks.model import build_model
    >>> model = with_masks(build_model("antony_clsf", ("att0",), "single", image_size=(96, 96)))
    >>> {name: tensor.shape for name, tensor in model.output.items()}
    {'att0': (None, 5), 'att0_mask': (None, 11, 11, 1)}
    """
    masks = {
        layer.name: layer.output for layer in model.layers if layer.name.endswith(MASK_SUFFIX)
    }
    return keras.Model(model.input, {**model.output, **masks})


def masks_among(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The masks `{branch: (n, h, w)}` among the predictions of a model of `with_masks`."""
    return {
        name.removesuffix(MASK_SUFFIX): value[..., 0]
        for name, value in values.items()
        if name.endswith(MASK_SUFFIX)
    }
