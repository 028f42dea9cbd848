"""Localisation: how much of an attention mask lies on the joint."""

from collections.abc import Sequence

import cv2
import numpy as np

from knee_attention.evidence.figures.pictures import at_image_size


def widened(joint: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """A joint's mask, dilated on every side by half a cell of an attention grid.

    The joint space is narrower than a cell in the deeper branches. With the wider joint, a cell
    that overlaps the joint space counts as on the joint even if its centre is beside it.

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
    """How much of a branch's attention lies on the joint: means over the knees of a split.

    Args:
        masks: `(n, h, w)` attention masks of one branch.
        joints: `n` arrays `(height, width)` bool, the true joint regions, at the images' size or
            larger. Knees whose region is empty or the whole image are not counted.

    Returns:
        None if no knee counts; otherwise
        `inside` and `outside`: mean attention on the joint and outside it;
        `inside_over_outside`: their ratio (1 for a uniform mask);
        `energy_inside`: share of the mask's sum on the joint;
        `pointing_game`: share of knees whose mask has its maximum on the joint (with several
        maxima, the share of them on the joint);
        `energy_inside_uniform` and `pointing_game_uniform`: scores of a uniform mask, equal to the
        joint's share of the image.

        The pointing game follows Zhang et al., "Top-Down Neural Attention by Excitation
        Backprop", 2018, but without a tolerance margin.
    """
    knees = [
        on_joint(at_image_size(mask, joint.shape), joint)
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


def on_joint(mask: np.ndarray, joint: np.ndarray) -> tuple[float, ...]:
    """Scores of a mask: mean inside, mean outside, energy inside, pointing game, joint's share.

    Args:
        mask: `(height, width)`, not zero everywhere.
        joint: `(height, width)` bool, neither empty nor the whole image.
    """
    mask = mask.astype(np.float64)
    return (
        mask[joint].mean(),
        mask[~joint].mean(),
        mask[joint].sum() / mask.sum(),
        joint[mask == mask.max()].mean(),
        joint.mean(),
    )
