"""Borders that no film has: a frame of one grey around an image, or the bars of a letterbox."""

from dataclasses import dataclass

import numpy as np

from knee_attention.films.grey import to_grey

SAME = 8 / 255
"""Grey values that differ by at most this part of the image's range count as one: frames that were
saved as JPEG are not quite even."""

EDGE = 0.5
"""A border ends in an edge: of its last row or column and the one behind it, at least this part of
the pixels differs. Beside a leg the air becomes skin in a few rows first. Borders come in pairs, at
the top and at the bottom or at both sides; the shadow of a collimator may lie at one side. None of
the 6,604 crops of the public set has such borders; 24 have dark columns of one grey at a side."""

THIN = 1 / 16
"""A frame of at most this part of the image's height is taken to go all the way round, where dark
air at a side hides its edge."""


@dataclass(frozen=True)
class Frame:
    """How many rows and columns at the four sides of an image are such a border."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(self.pixels)

    @property
    def pixels(self) -> list[int]:
        """Columns at the left, rows at the top, columns at the right, rows at the bottom."""
        return [self.left, self.top, self.right, self.bottom]

    def moved(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box within the frame, left, top, width and height, in pixels of the whole image."""
        return box[0] + self.left, box[1] + self.top, *box[2:]


def find_frame(image: np.ndarray) -> Frame:
    """The rows and columns at an image's sides that are of one grey and end in an edge.

    Args:
        image: `(height, width[, channels])`, any dtype.

    Returns:
        The frame; an empty one of an image that has none.
    """
    grey = to_grey(np.asarray(image))
    if min(grey.shape) < 3:
        return Frame()
    same = SAME * (float(grey.max()) - float(grey.min()))
    top, bottom = _pair(grey, same)
    inside = grey[top : len(grey) - bottom]
    left, right = _pair(inside.T, same)
    if not left and 0 < top == bottom <= THIN * len(grey):
        sides = (inside.T[:top], inside.T[-top:])
        if all(_even(columns, grey[0, 0], same).all() for columns in sides):
            left = right = top
    return Frame(top, bottom, left, right)


def without_frame(image: np.ndarray) -> tuple[np.ndarray, Frame]:
    """An image without its frame, a view of it, and the frame that was there."""
    frame = find_frame(image)
    height, width = image.shape[:2]
    return image[frame.top : height - frame.bottom, frame.left : width - frame.right], frame


def _pair(lines: np.ndarray, same: float) -> tuple[int, int]:
    """How many of the first and of the last lines are such a border; zeros if not both are."""
    first, last = _border(lines, same), _border(lines[::-1], same)
    return (first, last) if first and last else (0, 0)


def _border(lines: np.ndarray, same: float) -> int:
    """How many of the first lines are of one grey, if they end in an edge; else 0."""
    if not _even(lines[0], lines[0, 0], same).all():
        return 0
    other = np.flatnonzero(~_even(lines, lines[0, 0], same).all(axis=1))
    if not len(other):
        return 0
    edge = ~_even(lines[other[0]], lines[other[0] - 1].astype(np.float32), same)
    return int(other[0]) if edge.mean() >= EDGE else 0


def _even(pixels: np.ndarray, grey, same: float) -> np.ndarray:
    """Which pixels have a grey, within `same`."""
    return np.abs(pixels.astype(np.float32) - np.float32(grey)) <= same
