"""Where the attention goes: how much of a mask lies on the joint."""

from collections.abc import Sequence

import cv2
import numpy as np

from knee_attention.evidence.figures.pictures import at_image_size


def box_mask(box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """A joint box as the mask that `localisation` takes.

    Args:
        box: left, top, width and height in pixels.
        size: height and width of the image.

    Returns:
        `(height, width)` bool.
    """
    left, top, width, height = box
    mask = np.zeros(size, bool)
    mask[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = True
    return mask


def widened(joint: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """A joint's mask, half a cell of an attention grid wider on every side.

    The joint space is thinner than a cell of the deeper branches; a cell that it crosses counts
    as hit although its middle lies beside it.

    Args:
        joint: `(height, width)` bool.
        grid: rows and columns of the attention mask.

    Returns:
        `(height, width)` bool.
    """
    rows, columns = (
        round(side / cells / 2) for side, cells in zip(joint.shape, grid, strict=True)
    )
    reach = np.ones((2 * rows + 1, 2 * columns + 1), np.uint8)
    return cv2.dilate(joint.astype(np.uint8), reach) > 0


def localisation(masks: np.ndarray, joints: Sequence[np.ndarray]) -> dict[str, float] | None:
    """How much of a branch's attention lies on the joint, over all knees of a split.

    Args:
        masks: `(n, h, w)` attention masks of one branch.
        joints: `n` times `(height, width)` bool, the true joint regions, at the images' size or
            larger. Knees whose region is empty or the whole image do not count.

    Returns:
        None where no knee counts, else means over the knees:
        `inside` and `outside`, the mean attention on the joint and off it;
        `inside_over_outside`, the one over the other (a uniform mask: 1);
        `energy_inside`, the share of a mask's sum that lies on the joint;
        `pointing_game`, the share of knees whose mask is highest on the joint (a mask with
        several highest pixels scores the share of them that lies there);
        `energy_inside_uniform` and `pointing_game_uniform`, what a uniform mask would reach: the
        joint's share of the image.

        The pointing game is that of Zhang et al., "Top-Down Neural Attention by Excitation
        Backprop", 2018, without its margin of tolerance.
    """
    knees = [
        _on_joint(at_image_size(mask, joint.shape), joint)
        for mask, joint in zip(masks, joints, strict=True)
        if joint.any() and not joint.all()
    ]
    if not knees:
        return None
    inside, outside, energy, pointing, area = np.mean(knees, axis=0).tolist()
    return {
        "inside": inside,
        "outside": outside,
        "inside_over_outside": inside / outside,
        "energy_inside": energy,
        "energy_inside_uniform": area,
        "pointing_game": pointing,
        "pointing_game_uniform": area,
    }


def _on_joint(mask: np.ndarray, joint: np.ndarray) -> tuple[float, ...]:
    mask = mask.astype(np.float64)
    return (
        mask[joint].mean(),
        mask[~joint].mean(),
        mask[joint].sum() / mask.sum(),
        joint[mask == mask.max()].mean(),
        joint.mean(),
    )
