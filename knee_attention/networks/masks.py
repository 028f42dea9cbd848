"""The part of a network that makes its attention masks."""

import keras
import numpy as np

MASK_SUFFIX = "_mask"


def mask_model(model: keras.Model) -> keras.Model:
    """The part of a model that makes its masks.

    Args:
        model: one whose attention layers are named `<branch>_mask`.

    Returns:
        a model from the same knees to `{branch: (batch, height, width, 1)}` masks in 0-1.

    Raises:
        ValueError: the model has no such layer.
    """
    masks = {
        layer.name.removesuffix(MASK_SUFFIX): layer.output
        for layer in model.layers
        if layer.name.endswith(MASK_SUFFIX)
    }
    if not masks:
        raise ValueError("expected a model with attention layers named <branch>_mask. "
                         f"Received: {model.name!r}")
    part = keras.Model(model.inputs, masks)
    part.jit_compile = model.jit_compile
    return part


def attention_masks(model: keras.Model, knees) -> dict[str, np.ndarray]:
    """The masks of every branch.

    Args:
        model: as `mask_model` takes it.
        knees: `(n, height, width, 1)` prepared knees, or batches of them.

    Returns:
        `{branch: (n, height, width)}` float32 in 0-1, at the branch's own resolution.
    """
    masks = mask_model(model).predict(knees, verbose=0)
    return {branch: mask[..., 0].astype(np.float32) for branch, mask in masks.items()}
