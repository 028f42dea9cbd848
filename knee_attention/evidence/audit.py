"""Measures of attention masks: how much of a mask lies on the joint, and those of an audit.

An audit measures where masks lie, whether they follow the image, and whether they matter. Each
measure is a value per knee. Its mean has a 95% interval by bootstrap over persons.
"""

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from sklearn.metrics import average_precision_score

from knee_attention.evidence.figures.pictures import at_image_size
from knee_attention.evidence.intervals import RESAMPLES, central, draws
from knee_attention.evidence.metrics import losses


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


OWN, MEAN, OTHER = "own mask", "mean mask", "another knee's mask"
UNIFORM, INVERTED, BAND = "uniform mask", "inverted mask", "horizontal band"
SHUFFLED = "own mask, backbone shuffled"
NO_MASK = "no mask"

BAND_ROWS = (3 / 8, 5 / 8)
"""Rows of the horizontal band, as parts of the height: its middle quarter."""

def where(
    masks: Iterable[np.ndarray], joints: Sequence[np.ndarray], grid: tuple[int, int]
) -> dict[str, np.ndarray]:
    """How well each mask points at the joint.

    Args:
        masks: `n` masks or activation maps, `(h, w)` of any resolution. One that is zero
            everywhere counts as uniform.
        joints: `n` arrays `(height, width)` bool.
        grid: rows and columns of the branch's masks.

    Returns:
        `highest`: whether the mask's highest point lies on the joint, widened by half a cell of the
        grid (with several highest points, the share of them);
        `energy`: share of the mask's sum on the joint;
        `average_precision`: of the mask as a detector of the joint's pixels.
        Each is `(n,)`, with NaN where the joint is empty or the whole image.
    """
    scores = {"highest": [], "energy": [], "average_precision": []}
    for mask, joint in zip(masks, joints, strict=True):
        found = (np.nan,) * 3
        if joint.any() and not joint.all():
            mask = at_image_size(np.asarray(mask, np.float32), joint.shape)
            mask = mask if mask.any() else np.ones_like(mask)
            _, _, energy, _, _ = on_joint(mask, joint)
            *_, highest, _ = on_joint(mask, widened(joint, grid))
            found = highest, energy, average_precision_score(joint.ravel(), mask.ravel())
        for values, value in zip(scores.values(), found, strict=True):
            values.append(value)
    return {name: np.array(values) for name, values in scores.items()}


def horizontal_band(shape: tuple[int, int]) -> np.ndarray:
    """A mask that is 1 in the middle quarter of the rows and 0 elsewhere."""
    mask = np.zeros(shape, np.float32)
    top, bottom = (round(part * shape[0]) for part in BAND_ROWS)
    mask[top:bottom] = 1
    return mask


def replacements(masks: np.ndarray, subjects: Sequence[str]) -> dict[str, np.ndarray]:
    """Masks to put in the place of each knee's own.

    Args:
        masks: `(n, h, w)` masks of a branch, in 0-1.
        subjects: the person of each knee.

    Returns:
        `{name: (n, h, w)}`: the mean of all masks, the mask of a knee of another person (unless
        one person has more than half of the knees), a uniform mask, and 1 - mask.
    """
    found = {MEAN: np.broadcast_to(masks.mean(axis=0), masks.shape)}
    others = of_other_persons(subjects)
    if others is not None:
        found[OTHER] = masks[others]
    return found | {UNIFORM: np.ones_like(masks), INVERTED: 1 - masks}


def of_other_persons(subjects: Sequence[str], seed: int = 0) -> np.ndarray | None:
    """For each knee the position of a knee of another person; each knee is taken once.

    None if one person has more than half of the knees.
    """
    persons, person_of_knee, knees = np.unique(subjects, return_inverse=True, return_counts=True)
    if 2 * knees.max() > len(subjects):
        return None
    order = np.argsort(np.random.default_rng(seed).permutation(len(persons))[person_of_knee],
                       kind="stable")  # fmt: skip
    others = np.empty_like(order)
    others[order] = np.roll(order, knees.max())
    return others


def correlations(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pearson correlation over the positions of each mask with another: `(n,)`.

    Args:
        masks: `(n, h, w)`.
        others: `(n, h, w)`, or one `(h, w)` for all.

    Returns:
        the correlations; NaN if one of the two masks is uniform.
    """
    pair = [each.reshape(*each.shape[:-2], -1).astype(np.float64) for each in (masks, others)]
    first, second = (each - each.mean(axis=-1, keepdims=True) for each in pair)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (first * second).sum(axis=-1) / np.sqrt(
            (first**2).sum(axis=-1) * (second**2).sum(axis=-1)
        )


def grade_scores(grades: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Per knee, `(n,)`: `accuracy`, whether the grade is right, and `cross_entropy` in nats."""
    return {
        "accuracy": (probabilities.argmax(axis=1) == grades).astype(float),
        "cross_entropy": losses(grades, probabilities),
    }


def estimate(values: np.ndarray, subjects: Sequence[str]) -> dict:
    """The mean of a measure over knees, with its 95% interval over persons.

    Args:
        values: `(n,)`; NaN where the measure is undefined.
        subjects: the person of each knee.

    Returns:
        `{"value": mean, "interval": [low, high]}`. Both are None if the measure is undefined for
        all knees; the interval also if the knees are of one person.
    """
    known = np.isfinite(values)
    if not known.any():
        return {"value": None, "interval": None}
    subjects, values = np.asarray(subjects)[known], values[known]
    interval = None
    if len(set(subjects)) > 1:
        weights = draws(subjects, RESAMPLES, 0)
        interval = [round(bound, 4) for bound in central(weights @ values / weights.sum(axis=1))]
    return {"value": round(float(values.mean()), 4), "interval": interval}


def estimates(rows: Mapping[str, Mapping[str, np.ndarray]], subjects: Sequence[str]) -> dict:
    """Estimates of each row, and their differences from the knees' own masks.

    Args:
        rows: `{row: {measure: (n,)}}`.
        subjects: the person of each knee.

    Returns:
        `{row: {measure: estimate}}`. Where there is a row `OWN`, the estimates of the others also
        have `own_minus_this`, the estimate of the paired difference.
    """
    found = {row: {measure: estimate(values, subjects) for measure, values in measures.items()}
             for row, measures in rows.items()}  # fmt: skip
    for row in rows.keys() - {OWN} if OWN in rows else ():
        for measure, values in rows[row].items():
            difference = estimate(rows[OWN][measure] - values, subjects)
            found[row][measure]["own_minus_this"] = difference
    return found
