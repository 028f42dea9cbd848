"""Drawing outlines in millimetres onto the pixels of a film."""

import cv2
import numpy as np


def window_of(
    grid: tuple[int, int], outline: np.ndarray, spacing: float, border: float
) -> tuple[slice, slice]:
    """The rows and columns of the grid that contain an outline, (n, 2) mm, plus a border in mm."""
    low = np.floor((outline.min(axis=0) - border) / spacing).astype(int)
    high = np.ceil((outline.max(axis=0) + border) / spacing).astype(int)
    (left, top), (right, bottom) = np.clip([low, high], 0, grid[::-1])
    return slice(top, bottom), slice(left, right)


def subpixels(outline: np.ndarray, window: tuple[slice, slice], spacing: float) -> np.ndarray:
    """Convert an outline in mm to 1/16 pixels of a window, for OpenCV's drawing with shift=4."""
    corner = window[1].start + 0.5, window[0].start + 0.5
    return np.round((outline / spacing - corner) * 16).astype(np.int32)


def filled(
    grid: tuple[int, int], outline: np.ndarray, spacing: float, border: float = 2
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Fill an outline, (n, 2) mm.

    Returns:
        The outline's window of the grid, and uint8 pixels of it: 255 inside, 0 outside.
    """
    window = window_of(grid, outline, spacing, border)
    paint = np.zeros([part.stop - part.start for part in window], np.uint8)
    cv2.fillPoly(paint, [subpixels(outline, window, spacing)], 255, cv2.LINE_AA, shift=4)
    return window, paint


def depth_inside(
    grid: tuple[int, int], outline: np.ndarray, spacing: float
) -> tuple[tuple[slice, slice], np.ndarray]:
    """The window of an outline, and each pixel's depth below the outline in mm (0 outside)."""
    beyond = round(60 / spacing)  # the edge of a leg may lie beyond the film's side
    wide = grid[0], grid[1] + 2 * beyond
    (rows, columns), paint = filled(wide, outline + (beyond * spacing, 0), spacing)
    inside = cv2.distanceTransform((paint > 127).astype(np.uint8), cv2.DIST_L2, 5)
    first, last = max(columns.start - beyond, 0), min(columns.stop - beyond, grid[1])
    hidden = first + beyond - columns.start
    visible = inside[:, hidden : hidden + last - first]
    return (rows, slice(first, last)), np.maximum(visible - 0.5, 0) * spacing


def chord(depth: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """The length in mm of a ray's path through a round solid, `depth` mm inside its edge."""
    from_axis = np.maximum(np.minimum(radius - depth, radius), 0)
    return 2 * np.sqrt(radius * radius - from_axis * from_axis)
