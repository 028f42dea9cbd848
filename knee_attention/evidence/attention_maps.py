"""Where the attention goes: masks of a model, and how much of them lies on the joint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import keras

MASK_SUFFIX = "_mask"


def mask_model(model: keras.Model) -> keras.Model:
    """The part of a model that makes its masks.

    Args:
        model: one whose attention layers are named `<branch>_mask`.

    Returns:
        a model from the same knees to `{branch: (batch, height, width, 1)}` masks in 0-1.
    """
    import keras

    masks = {
        layer.name.removesuffix(MASK_SUFFIX): layer.output
        for layer in model.layers
        if layer.name.endswith(MASK_SUFFIX)
    }
    return keras.Model(model.inputs, masks)


def attention_masks(model: keras.Model, batches) -> dict[str, np.ndarray]:
    """The masks of every branch for all knees of `batches`.

    Returns:
        `{branch: (n, height, width)}` float32 in 0-1, at the branch's own resolution.
    """
    masks = mask_model(model).predict(batches, verbose=0)
    return {branch: mask[..., 0].astype(np.float32) for branch, mask in masks.items()}


def at_image_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask `(height, width)` enlarged to an image's height and width, bilinearly."""
    return cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def localisation(masks: np.ndarray, joints: np.ndarray) -> dict[str, float]:
    """How much more a branch attends to the joint than to the rest.

    Args:
        masks: `(n, height, width)` attention masks.
        joints: `(n, image height, image width)` bool, the true joint regions.

    Returns:
        mean attention inside, outside, and inside over outside: each knee's means are averaged
        over the knees first. A uniform mask gives 1.
    """
    inside, outside = [], []
    for mask, joint in zip(masks, joints, strict=True):
        if joint.any() and not joint.all():
            enlarged = at_image_size(mask, joint.shape)
            inside.append(enlarged[joint].mean())
            outside.append(enlarged[~joint].mean())
    mean_inside, mean_outside = float(np.mean(inside)), float(np.mean(outside))
    return {
        "inside": mean_inside,
        "outside": mean_outside,
        "inside_over_outside": mean_inside / mean_outside,
    }
