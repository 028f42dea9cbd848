"""Attention masks beside what a network says."""

from collections.abc import Mapping

import keras
import numpy as np

MASK_SUFFIX = "_mask"
"""The attention layer of a branch is named after the branch, with this behind it."""


def with_masks(model: keras.Model) -> keras.Model:
    """A model that gives the same outputs and its masks, in one pass.

    Args:
        model: one whose attention layers, if it has any, are named `<branch>_mask`.

    Returns:
        a model from the same knees to its outputs and the masks `<branch>_mask`,
        `(batch, h, w, 1)` in 0-1.
    """
    masks = {
        layer.name: layer.output for layer in model.layers if layer.name.endswith(MASK_SUFFIX)
    }
    return keras.Model(model.input, {**model.output, **masks})


def masks_among(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`{branch: (n, h, w)}`, the masks among the values of such a model, by branch."""
    return {
        name.removesuffix(MASK_SUFFIX): value[..., 0]
        for name, value in values.items()
        if name.endswith(MASK_SUFFIX)
    }
