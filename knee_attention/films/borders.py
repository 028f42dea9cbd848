"""Artificial borders of images: frames of one grey and letterbox bars."""

from dataclasses import dataclass

import numpy as np

from knee_attention.films.radiograph import to_grey

SAME = 8 / 255
"""Grey values that differ by at most this part of the image's range count as equal. JPEG adds noise
to frames."""

EDGE = 0.5
"""A border ends in an edge: at least this part of the pixels differs between its last row or column
and the next one. Air beside a leg does not end in such an edge: only a few pixels of the next
column show skin.

Borders come in pairs, at the top and bottom or at both sides."""

THIN = 1 / 16
"""A top and bottom border of at most this part of the height may belong to a frame on all four
sides. The left and right borders then need no edge, because dark air can hide it."""

SPARSE = 16
"""The search for the end of a border looks at each 16th pixel of a line first, to save time."""


@dataclass(frozen=True)
class Frame:
    """The width in pixels of an image's border at each of its four sides."""

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
        """Convert a box from the image without its frame to the whole image.

        Args:
            box: left, top, width and height in pixels of the image without its frame.

        Returns:
            The same box in pixels of the whole image.
        """
        return box[0] + self.left, box[1] + self.top, *box[2:]


def find_frame(image: np.ndarray) -> Frame:
    """Find the borders of one grey that end in an edge.

    Args:
        image: `(height, width[, channels])`, any dtype.

    Returns:
        The frame; all zeros if the image has none.
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
    """Cut off an image's frame.

    Args:
        image: `(height, width[, channels])`, any dtype.

    Returns:
        A view of the image without its frame, and the frame.
    """
    frame = find_frame(image)
    height, width = image.shape[:2]
    return image[frame.top : height - frame.bottom, frame.left : width - frame.right], frame


def _pair(lines: np.ndarray, same: float) -> tuple[int, int]:
    """The number of border lines at the start and at the end; zeros unless both ends have one and
    lines remain between them."""
    first = _border(lines, same)
    last = _border(lines[::-1], same) if first else 0
    return (first, last) if last and first + last < len(lines) else (0, 0)


def _border(lines: np.ndarray, same: float) -> int:
    """The number of lines of one grey at the start; 0 if they do not end in an edge."""
    if not _even(lines[0], lines[0, 0], same).all():
        return 0
    for step in (SPARSE, 1):  # few pixels of all lines, then all pixels of the lines that remain
        seen = lines[:, ::step]
        extremes = np.stack([seen.min(axis=1), seen.max(axis=1)])
        other = np.flatnonzero(~_even(extremes, lines[0, 0], same).all(axis=0))
        if len(other):
            lines = lines[: other[0] + 1]
    if not len(other):
        return 0
    edge = ~_even(lines[-1], lines[-2].astype(np.float32), same)
    return len(lines) - 1 if edge.mean() >= EDGE else 0


def _even(pixels: np.ndarray, grey, same: float) -> np.ndarray:
    """A bool array: which pixels differ from a grey value by at most `same`."""
    return np.abs(pixels.astype(np.float32) - np.float32(grey)) <= same
