"""Painting onto a film: outlines in millimetres, and objects besides the patient."""

import cv2
import numpy as np

from knee_attention.phantoms.anatomy import FILM_HEIGHT, SIDES, Pose


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


LEAD = 2.5  # attenuation of a marker or a bead
COLLIMATOR = 6.0  # attenuation of a closed collimator


def add_calibration_bar(
    attenuation: np.ndarray,
    poses: tuple[Pose, Pose],
    spacing: float,
    rng: np.random.Generator,
) -> None:
    """Add the calibration bar between the legs, with a column of beads on each side."""
    middle = (poses[0].centre[0] + poses[1].centre[0]) / 2 + np.clip(rng.normal(0, 5), -10, 10)
    lean = rng.normal(0, 0.008)
    top, bottom = middle - lean * FILM_HEIGHT / 2, middle + lean * FILM_HEIGHT / 2
    for half_width, density in ((19, rng.uniform(0.03, 0.1)), (5.5, rng.uniform(0.2, 0.4))):
        corners = [(top - half_width, -5), (top + half_width, -5),
                   (bottom + half_width, FILM_HEIGHT + 5), (bottom - half_width, FILM_HEIGHT + 5)]
        window, paint = filled(attenuation.shape, np.array(corners), spacing)
        attenuation[window] += density / 255 * paint

    count, start = rng.integers(8, 13), rng.uniform(5, 30)
    circle = np.linspace(0, 2 * np.pi, 16)
    bead = 1.8 * np.stack([np.cos(circle), np.sin(circle)], axis=1)
    for column in (-7, 7):
        for y in start + rng.uniform(-8, 8) + 27 * np.arange(count):
            x = middle + column + lean * (y - FILM_HEIGHT / 2)
            window, paint = filled(attenuation.shape, bead + (x, y), spacing)
            attenuation[window] += LEAD / 4 / 255 * paint


def add_markers(attenuation: np.ndarray, spacing: float, rng: np.random.Generator) -> None:
    """Add the lead letters R and L in the upper corners. Some are missing, some are mirrored."""
    mirrored = rng.random() < 0.3
    size = round(14 / spacing)
    for index, letter in enumerate(SIDES):
        if rng.random() < 0.2:
            continue
        tile = np.zeros((size, size), np.uint8)
        cv2.putText(tile, letter, (size // 6, size - size // 5), cv2.FONT_HERSHEY_SIMPLEX,
                    size / 34, 255, max(1, size // 8), cv2.LINE_AA)
        tile = tile[:, ::-1] if mirrored else tile
        y = int(rng.uniform(8, 80) / spacing)
        x = int(rng.uniform(4, 22) / spacing)
        x = x if index == 0 else attenuation.shape[1] - size - x
        attenuation[y : y + size, x : x + size] += LEAD / 255 * tile


def add_collimation(attenuation: np.ndarray, spacing: float, rng: np.random.Generator) -> None:
    """Cover some borders with the collimator: unexposed and therefore bright, with a soft edge."""
    rows, columns = attenuation.shape
    y, x = np.arange(rows) * spacing, np.arange(columns) * spacing
    borders = {"left": x, "right": x[::-1], "top": y, "bottom": y[::-1]}
    for name, from_edge in borders.items():
        if rng.random() < 0.1:
            width = rng.uniform(5, 35 if name == "bottom" else 10)
            shade = COLLIMATOR / 2 * (1 - np.tanh((from_edge - width) / rng.uniform(1, 8)))
            shade = shade.astype(np.float32)
            attenuation += shade[:, None] if name in ("top", "bottom") else shade


def black_out_name(image: np.ndarray, spacing: float, rng: np.random.Generator) -> None:
    """Paint the black de-identification patch over an upper corner of some films."""
    if rng.random() < 0.35:
        height, width = (rng.uniform((30, 35), (85, 60)) / spacing).astype(int)
        top, side = (rng.uniform(0, 6, 2) / spacing).astype(int)
        left = side if rng.random() < 0.5 else image.shape[1] - width - side
        image[top : top + height, left : left + width] = image.min()
