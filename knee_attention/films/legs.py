"""Finding the gap between the two legs of a bilateral radiograph, and splitting the film there.

The names of the knees' files give their sides: `<id>_R`, `<id>-L`, or `<id>L` if the id ends in a
digit. `9001695L.png` is the left knee of 9001695, but `FINAL.png` is not the left knee of "FINA".
"""

import os
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

THUMBNAIL_WIDTH = 256
"""Number of columns to which a film is shrunk before the search for the gap."""

THUMBNAIL_ROWS = 100
"""At least this number of the film's rows is used."""

JOINT_ROWS = (0.2, 0.8)
"""The joints lie in this part of a film's height. Above it the thighs may touch."""

FLAT = 0.03
"""A column or row at the film's edge is empty if its standard deviation is below this part of the
film's range."""

WIDEST_BAR = 0.1
"""Bright objects narrower than this part of the width are not legs but bars, beads or markers."""

LEG_REACH = (0.08, 0.45)
"""The smallest and largest distance of a leg's brightest column from the gap, in parts of the
width."""

SMALLEST_CONTRAST = 0.45
"""The smallest contrast of a gap between two legs: the darker leg minus the gap, in parts of the
film's range. Halves and crops have at most 0.41, films of two legs at least 0.56."""


def find_gap(film: np.ndarray) -> int | None:
    """Find the dark band between the two legs of a bilateral radiograph.

    The film is shrunk and opened along its rows (morphological opening). This removes bright narrow
    objects such as the calibration bar, its beads and markers, and keeps legs and dark bands. The
    gap is the column with the highest contrast to the bright regions on both sides, together with
    the dark columns around it.

    Args:
        film: `(height, width)`, any integer or float dtype, bone bright.

    Returns:
        The first column of the left knee, in the middle of the gap; None if the film shows a single
        leg or none.
    """
    profile = _leg_profile(film)
    width = len(profile)
    near, far = (round(part * width) for part in LEG_REACH)
    brightest = sliding_window_view(np.pad(profile, far), far - near + 1).max(axis=1)
    left, right = brightest[:width], brightest[far + near :][:width]
    contrast = np.minimum(left, right) - profile
    darkest = int(contrast.argmax())
    if contrast[darkest] < SMALLEST_CONTRAST:
        return None
    light = np.flatnonzero(profile > profile[darkest] + contrast[darkest] / 4)
    before, after = light[light < darkest], light[light > darkest]
    start = before[-1] + 1 if len(before) else 0
    stop = after[0] if len(after) else width
    return round((start + stop) / 2 * film.shape[1] / width)


def _leg_profile(film: np.ndarray) -> np.ndarray:
    """Mean grey of each thumbnail column after opening, `(THUMBNAIL_WIDTH,)` float in 0 to 1."""
    film = film[_exposed_rows(film)]
    top, bottom = (round(part * film.shape[0]) for part in JOINT_ROWS)
    rows = film[top:bottom]
    rows = rows[:: max(1, len(rows) // THUMBNAIL_ROWS)].astype(np.float32)
    rows = cv2.resize(rows, (THUMBNAIL_WIDTH, len(rows)), interpolation=cv2.INTER_AREA)
    if rows.min() == rows.max():
        return np.zeros(THUMBNAIL_WIDTH)
    exposed = _exposed(rows, axis=0)
    dark, bright = np.percentile(rows[:, exposed], (1, 99))
    grey = np.clip((rows - dark) / max(bright - dark, 1e-6), 0, 1)
    grey[:, : exposed.start] = grey[:, exposed.stop :] = 0
    opening = np.ones((1, round(WIDEST_BAR * THUMBNAIL_WIDTH)), np.uint8)
    grey = cv2.morphologyEx(
        grey, cv2.MORPH_OPEN, opening, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return grey.mean(axis=0)


def _exposed_rows(film: np.ndarray) -> slice:
    """The rows of a film without the empty ones at top and bottom, such as padding to a square."""
    down, along = (max(1, size // THUMBNAIL_WIDTH) for size in film.shape)
    exposed = _exposed(film[::down, ::along].astype(np.float32), axis=1)
    return slice(exposed.start * down, exposed.stop * down)


def _exposed(grey: np.ndarray, axis: int) -> slice:
    """The columns (`axis` 0) or rows (`axis` 1) without the flat ones at both ends, which lie
    beyond the collimator and are black or white."""
    flat = grey.std(axis=axis) < FLAT * (grey.max() - grey.min())
    varied = np.flatnonzero(~flat)
    return slice(varied[0], varied[-1] + 1) if len(varied) else slice(0, len(flat))


def split_knees(film: np.ndarray, method: str = "middle") -> dict[str, np.ndarray]:
    """Cut a bilateral radiograph into two halves of equal width, one per knee.

    Args:
        film: `(height, width)` array. The patient's left knee is on the image's right.
        method: `"middle"` cuts in the middle of the film (section 4), `"auto"` in the gap between
            the legs.

    Returns:
        `{"R": right knee, "L": left knee}`, each `(height, width // 2)`, of the film's dtype.

    Raises:
        ValueError: an unknown `method`, or `"auto"` finds no gap between two legs.

    Example:
        >>> import numpy as np
        >>> from knee_attention import split_knees
        >>> halves = split_knees(np.zeros((2048, 2494), np.uint8))
        >>> {side: half.shape for side, half in halves.items()}
        {'R': (2048, 1247), 'L': (2048, 1247)}
    """
    if method == "middle":
        half = film.shape[1] // 2
        return {"R": film[:, :half], "L": film[:, film.shape[1] - half :]}
    if method == "auto":
        column = find_gap(film)
        if column is None:
            raise ValueError("expected a film of two legs. Received: a single knee or none")
        return split_at(film, column)
    raise ValueError(f"expected method 'middle' or 'auto'. Received: {method!r}")


def split_at(film: np.ndarray, column: int) -> dict[str, np.ndarray]:
    """Cut a bilateral radiograph at a column.

    Both knees get half the film's width, so that all knees of a set have the same proportions. The
    wider part loses its outer border. The narrower part is padded with the film's darkest grey.

    Args:
        film: `(height, width)` array.
        column: the first column of the patient's left knee.

    Returns:
        `{"R": right knee, "L": left knee}`, each `(height, width // 2)`, of the film's dtype.
    """
    half = film.shape[1] // 2
    right, left = film[:, max(0, column - half) : column], film[:, column : column + half]
    if right.shape[1] < half:
        right = np.hstack([_border(film, half - right.shape[1]), right])
    if left.shape[1] < half:
        left = np.hstack([left, _border(film, half - left.shape[1])])
    return {"R": right, "L": left}


def _border(film: np.ndarray, width: int) -> np.ndarray:
    return np.full((len(film), width), film.min(), film.dtype)


KNEE_NAME = re.compile(r"(.+?)(?:[_-]|(?<=\d))([RL])")

SUFFIX = re.compile(r"\.[a-z][a-z0-9]{1,4}$", re.IGNORECASE)
"""A file's suffix. The last number of a DICOM UID is not one."""


def id_and_side(file: str | os.PathLike) -> tuple[str, str | None]:
    """The id in a file's name, and the side at its end: `"R"`, `"L"`, or None."""
    stem = SUFFIX.sub("", Path(file).name)
    found = KNEE_NAME.fullmatch(stem)
    return (found[1], found[2]) if found else (stem, None)


def knee_name(film: str, side: str) -> str:
    """The name of a knee's file without suffix; the inverse of `id_and_side`."""
    return f"{film}_{side}"


def side_of(file: str | os.PathLike) -> str | None:
    """The side in a file's name, `"R"` or `"L"`; None without one."""
    return id_and_side(file)[1]


def subject_of(file: str | os.PathLike) -> str:
    """The person of a knee by its file's name alone: the id in it."""
    return id_and_side(file)[0]
