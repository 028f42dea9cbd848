"""Joint boxes: decoding the localiser's output maps, and geometry of boxes.

A joint box is a square around a knee, about 120 mm a side, with the joint space a little below its
middle. The public boxes of OAI films define it (github.com/denizlab/OAI-KL-Grade-Classification).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""

LINE_WIDTH = 0.9
"""The width of the joint line as a part of the box's side: 108 of 120 mm."""

LINE_BELOW_MIDDLE = 0.09
"""The distance of the joint line below the middle of the box, as a part of its side. It is 0.045 to
0.155 on the two real films with known boxes."""

SQUARE_SIDE = 0.92
"""The side of the public set's square crops as a part of the joint box's side: the mean of the four
knees for which both are known (0.87, 0.93, 0.93, 0.96)."""

SEEN = 0.6
"""At least this part of a joint's core must lie on the film, else the joint is cut off. On 174
close views it is at least 0.76."""

CANDIDATE = 0.1
"""The lowest score of a cell that is a candidate for a joint."""

SAME_JOINT = 0.25
"""Two boxes with a higher Jaccard index show the same joint. The one with the higher score is kept.
"""

CELL = 8
"""The side of a map's cell in pixels of the localiser's input (`networks/localiser.py`)."""

UNIT_SIDE = 64
"""The side in pixels of a box for which the size map is 0."""


@dataclass(frozen=True)
class Joint:
    """A knee joint on a film.

    Attributes:
        box: left, top, width and height of the joint box in pixels of the film; it may extend
            beyond the film.
        score: 0 to 1, the localiser's confidence that this is a joint.
        implant: 0 to 1, its confidence that a prosthesis or other metal lies within the box.
        side: the patient's side, `"R"` or `"L"`; None if unknown.
    """

    box: Box
    score: float
    implant: float = 0.0
    side: str | None = None


def box_around(line: Box) -> Box:
    """The joint box for a rectangle along the joint line, computed from its middle and its width.
    """
    left, top, width, height = line
    side = width / LINE_WIDTH
    return (
        left + width / 2 - side / 2,
        top + height / 2 - (0.5 + LINE_BELOW_MIDDLE) * side,
        side,
        side,
    )


def box_of_square(square: Box) -> Box:
    """The joint box for a square crop like those of the public set."""
    return resized(square, 1 / SQUARE_SIDE)


def resized(box: Box, factor: float) -> Box:
    """A box scaled by a factor around its middle."""
    left, top, width, height = box
    return (
        left + (1 - factor) / 2 * width, top + (1 - factor) / 2 * height,
        factor * width, factor * height,
    )  # fmt: skip


def joints_on(maps: np.ndarray) -> list[Joint]:
    """Decode the localiser's maps into joints, in pixels of its input.

    Args:
        maps: `(rows, columns, 5)` float32, the output of `networks/localiser.py`.

    Returns:
        The joints without duplicates, the highest score first.
    """
    score = sigmoid(maps[..., 0])
    implant = sigmoid(maps[..., 4])
    highest = cv2.dilate(score, np.ones((3, 3), np.uint8))
    peaks = np.argwhere((score >= CANDIDATE) & (score == highest))
    found = [_joint_at(row, column, maps, score, implant) for row, column in peaks]
    return without_duplicates(found)


def _joint_at(row: int, column: int, maps, score, implant) -> Joint:
    """The joint at a peak; its box is the mean of the boxes that the cells around it predict."""
    rows, columns = (slice(max(0, place - 1), min(place + 2, count))
                     for place, count in zip((row, column), score.shape, strict=True))
    weights = score[rows, columns] / score[rows, columns].sum()
    side = UNIT_SIDE * float(np.exp((weights * maps[rows, columns, 3]).sum()))
    down, right = (np.mgrid[rows, columns] + 0.5) * CELL
    x = float((weights * (right + side * maps[rows, columns, 1])).sum())
    y = float((weights * (down + side * maps[rows, columns, 2])).sum())
    box = x - side / 2, y - side / 2, side, side
    return Joint(box, float(score[row, column]), _highest_within(implant, box))


def _highest_within(cells: np.ndarray, box: Box) -> float:
    left, top, width, height = (value / CELL for value in box)
    rows = slice(max(0, int(top)), max(1, int(np.ceil(top + height))))
    columns = slice(max(0, int(left)), max(1, int(np.ceil(left + width))))
    return float(cells[rows, columns].max(initial=0))


def without_duplicates(joints: Sequence[Joint]) -> list[Joint]:
    """Remove duplicates: of boxes that show the same joint, keep the one with the highest score."""
    kept: list[Joint] = []
    for joint in sorted(joints, key=lambda joint: -joint.score):
        if all(jaccard(joint.box, other.box) <= SAME_JOINT for other in kept):
            kept.append(joint)
    return kept


def core_seen(box: Box, shape: tuple[int, int]) -> float:
    """The part of a joint's core that lies on a film whose height and width are `shape`.

    The core holds the condyles and the joint line, where the signs of a grade are.
    """
    left, top, side, _ = box
    core = left + 0.12 * side, top + (0.28 + LINE_BELOW_MIDDLE) * side, 0.76 * side, 0.44 * side
    seen = 1.0
    for start, size, whole in zip(core[:2], core[2:], shape[::-1], strict=True):
        seen *= max(0.0, min(start + size, whole) - max(start, 0)) / size
    return seen


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logits as probabilities, of the same shape."""
    return 1 / (1 + np.exp(-logits))


def jaccard(one: Sequence[float], other: Sequence[float]) -> float:
    """The Jaccard index of two boxes (left, top, width, height): shared over united area."""
    shared = 1.0
    for start, size in ((0, 2), (1, 3)):
        ends = one[start] + one[size], other[start] + other[size]
        shared *= max(0.0, min(ends) - max(one[start], other[start]))
    united = one[2] * one[3] + other[2] * other[3] - shared
    return shared / united if united > 0 else 0.0
