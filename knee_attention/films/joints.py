"""Where the knee joints lie on a film: from the localiser's map of joint lines to joint boxes.

A joint box is a square around a knee, as the public boxes of OAI films are
(github.com/denizlab/OAI-KL-Grade-Classification): about 120 mm a side, the joint space a little
below its middle. The network marks no more of it than the band along the joint line, because the
66 pixels that it sees at once (`networks/localiser.py`) hold the corners of a square without the
joint.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""

LINE_WIDTH, LINE_HEIGHT = 0.9, 0.35
"""The marked band in parts of the box's side: 108 by 42 mm of a box of 120 mm."""

LINE_BELOW_MIDDLE = 0.09
"""How far the band's middle lies below that of the box, in parts of its side; so on the two real
films whose boxes are known (0.045 to 0.155)."""

MARKED = 0.5
"""What the map has to reach where a joint line is."""

SMALLEST_LINE = 60
"""Pixels of the map; a band of less is a speck. The joint of a whole film has about 1,700."""

OTHER_JOINT = 0.4
"""A second joint's area is at least this part of the first one's: two knees are of one size."""

THRESHOLD = 0.75
"""A joint whose score is lower counts as not found. Chosen on synthetic images: 0.75 keeps 73 of
the 74 joints of 40 varied phantom films that 0.5 keeps, and takes 19 of 600 images without a knee
for one, chests, hands and shapes, where 0.5 takes 64."""

CROP_COVERED = 0.5
"""A joint box that covers this part of an image tells that the image is a crop of the joint. In
half a film it covers a fifth."""

SHARED_COLUMNS = 0.5
"""Two joints share at most this part of the narrower one's columns: they stand side by side."""


@dataclass(frozen=True)
class Joint:
    """A knee joint on a film.

    Attributes:
        box: left, top, width and height of the square around it in pixels of the film; it may
            reach beyond the film.
        score: 0 to 1, how clearly the localiser marks the whole of its joint line.
        side: the patient's, `"R"` or `"L"`; None where one joint was found.
    """

    box: Box
    score: float
    side: str | None = None

    @property
    def rounded(self) -> tuple[int, int, int, int]:
        """The box in whole pixels."""
        return tuple(round(value) for value in self.box)


def line_of(box: Box) -> Box:
    """The band along the joint line that a box stands for, as the localiser learns it."""
    left, top, width, height = box
    return (
        left + (1 - LINE_WIDTH) / 2 * width,
        top + (0.5 + LINE_BELOW_MIDDLE - LINE_HEIGHT / 2) * height,
        LINE_WIDTH * width,
        LINE_HEIGHT * height,
    )


def box_around(line: Box) -> Box:
    """The square joint box of a band along a joint line; its side follows from the band's width."""
    left, top, width, height = line
    side = width / LINE_WIDTH
    return (
        left + width / 2 - side / 2,
        top + height / 2 - (0.5 + LINE_BELOW_MIDDLE) * side,
        side,
        side,
    )


def joints_on(line_map: np.ndarray, most: int = 2) -> list[Joint]:
    """The joints that a map shows, in pixels of the map.

    Args:
        line_map: `(height, width)` float, 0 to 1, high along joint lines.
        most: 2 for a film of both knees, 1 for half a film.

    Returns:
        The largest of the marked bands that reach `THRESHOLD` and, of a film, the next one beside
        it, if it is of about the same size. Two are named by their place, the patient's right knee
        first, which is on the image's left. Where no band reaches the threshold, the largest of
        all, whose low score is for the caller to judge; empty where there is none.
    """
    marked = (line_map >= MARKED).astype(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(marked)
    bands = []
    for label in range(1, count):
        area = int(statistics[label, cv2.CC_STAT_AREA])
        if area >= SMALLEST_LINE:
            line = _line(labels == label)
            bands.append((_mean_inside(line_map, line), area, line))
    bands.sort(key=lambda band: (band[0] >= THRESHOLD, band[1]), reverse=True)
    if not bands:
        return []
    first = bands[0]
    joints = [Joint(box_around(first[2]), first[0])]
    beside = (
        Joint(box_around(line), score)
        for score, area, line in bands[1:]
        if score >= THRESHOLD and area >= OTHER_JOINT * first[1] and _side_by_side(line, first[2])
    )
    other = next(beside, None)
    if most < 2 or other is None:
        return joints
    ordered = sorted([*joints, other], key=lambda joint: joint.box[0])
    return [replace(joint, side=side) for joint, side in zip(ordered, "RL", strict=True)]


def _side_by_side(one: Box, other: Box) -> bool:
    shared = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    return shared <= SHARED_COLUMNS * min(one[2], other[2])


def _line(blob: np.ndarray) -> Box:
    """The rectangle that has a blob's centre and spread; a ragged edge moves it little."""
    rows, columns = np.nonzero(blob)
    width, height = (np.sqrt(12 * places.var() + 1) for places in (columns, rows))
    return (
        float(columns.mean() + 0.5 - width / 2),
        float(rows.mean() + 0.5 - height / 2),
        float(width),
        float(height),
    )


def _mean_inside(line_map: np.ndarray, line: Box) -> float:
    left, top, width, height = line
    rows = slice(max(0, round(top)), max(1, round(top + height)))
    columns = slice(max(0, round(left)), max(1, round(left + width)))
    return float(line_map[rows, columns].mean())


def covered(box: Box, shape: tuple[int, int]) -> float:
    """The part of an image of some height and width that a box covers."""
    area = 1.0
    for start, size, whole in zip(box[:2], box[2:], shape[::-1], strict=True):
        area *= max(0.0, min(start + size, whole) - max(start, 0)) / whole
    return area


def jaccard(one: Sequence[float], other: Sequence[float]) -> float:
    """The Jaccard index of two boxes (left, top, width, height): shared over united area."""
    shared = 1.0
    for start, size in ((0, 2), (1, 3)):
        ends = one[start] + one[size], other[start] + other[size]
        shared *= max(0.0, min(ends) - max(one[start], other[start]))
    united = one[2] * one[3] + other[2] * other[3] - shared
    return shared / united if united > 0 else 0.0
