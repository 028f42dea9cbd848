"""Objects on a film besides the patient: calibration bar, markers, collimator, black patch."""

import cv2
import numpy as np

from knee_attention.phantoms.anatomy import FILM_HEIGHT, SIDES, Pose
from knee_attention.phantoms.painting import filled

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
