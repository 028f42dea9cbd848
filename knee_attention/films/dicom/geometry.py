"""Geometry of a DICOM film: its orientation, and the size and shape of its pixels."""

from typing import TYPE_CHECKING

import numpy as np

from knee_attention.films.pixel_aspect import plausible_aspect, square_shape

if TYPE_CHECKING:
    from pydicom import Dataset


def upright(film: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Turn a film so that the patient's left is on the right and the feet are at the bottom.

    Args:
        film: `(height, width)` array, as the file stores it.
        dataset: the film's file.
    """
    transposed, mirrored, upended = _turns(dataset)
    film = film.T if transposed else film
    film = film[:, ::-1] if mirrored else film
    return film[::-1] if upended else film


def stored_array(array: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Turn an array on the upright film to the orientation of the stored film; inverts `upright`.

    Args:
        array: `(height, width)`, of any size.
        dataset: the film's file.
    """
    transposed, mirrored, upended = _turns(dataset)
    array = array[::-1] if upended else array
    array = array[:, ::-1] if mirrored else array
    return array.T if transposed else array


def upright_size(dataset: "Dataset") -> tuple[int, int]:
    """Width and height in pixels of the film that `read_film` returns."""
    height, width = square_shape((dataset.Rows, dataset.Columns), pixel_aspect_of(dataset))
    return (height, width) if _turns(dataset)[0] else (width, height)


def _turns(dataset) -> tuple[bool, bool, bool]:
    """What makes a film upright by PatientOrientation (PS3.3 C.7.6.1.1.1).

    Returns:
        Whether to transpose it, then whether to mirror it left to right, then top to bottom. All
        are False without a usable orientation.
    """
    orientation = dataset.get("PatientOrientation") or ""
    if isinstance(orientation, str) or len(orientation) != 2:
        return False, False, False
    along_row, along_column = (str(part)[:1] for part in orientation)
    transposed = along_row in ("F", "H") and along_column in ("L", "R")
    if transposed:
        along_row, along_column = along_column, along_row
    return transposed, along_row == "R", along_column == "H"


def stored_box(
    box: tuple[float, float, float, float], dataset: "Dataset"
) -> tuple[float, float, float, float]:
    """Map a box on a film that `read_film` returned to the file's stored pixels.

    Args:
        box: left, top, right, bottom on the film, in pixels from its upper left corner.
        dataset: the film's file.

    Returns:
        The same box in the file's pixels, in the coordinates of PS3.3 C.18.6.1.1.
    """
    left, top, right, bottom = box
    transposed, mirrored, upended = _turns(dataset)
    stored = dataset.Rows, dataset.Columns
    square = square_shape(stored, pixel_aspect_of(dataset))
    width, height = upright_size(dataset)
    if upended:
        top, bottom = height - bottom, height - top
    if mirrored:
        left, right = width - right, width - left
    if transposed:
        left, top, right, bottom = top, left, bottom, right
    down, across = (own / made for own, made in zip(stored, square, strict=True))
    return left * across, top * down, right * across, bottom * down


SPACINGS = ("ImagerPixelSpacing", "PixelSpacing")
"""Spacing at the detector (PS3.3 C.8.11.7.1.1) and at the patient (10.7.1.1): between rows, then
between columns."""

ASPECTS = (*SPACINGS, "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Elements that state the shape of a pixel, height before width. The first readable one counts.

NominalScannedPixelSpacing belongs to scanned films (PS3.3 C.8.6.1), PixelAspectRatio to films
without a spacing (C.7.6.3.1.7).
"""


def spacing_of(dataset: "Dataset") -> tuple[float, float] | None:
    """mm per pixel between rows and between columns; None if the film states none."""
    return next(filter(None, (_pair(dataset, keyword) for keyword in SPACINGS)), None)


def pixel_aspect_of(dataset: "Dataset") -> float:
    """Height over width of a film's stored pixels.

    Returns:
        The ratio; 1.0 for square pixels, and if the film states no plausible ratio.
    """
    stated = filter(None, (_pair(dataset, keyword) for keyword in ASPECTS))
    return plausible_aspect(*next(stated, (1, 1)))


def _pair(dataset, keyword: str) -> tuple[float, float] | None:
    try:
        first, second = map(float, dataset.get(keyword) or ())
    except (TypeError, ValueError):  # one number, three, or a decimal comma
        return None
    return (first, second) if 0 < min(first, second) and max(first, second) < np.inf else None
