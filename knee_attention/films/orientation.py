"""Which way a DICOM file's film lies: turned upright, and places on it found in the file again."""

from typing import TYPE_CHECKING

import numpy as np

from knee_attention.films.dicom.spacing import pixel_aspect_of
from knee_attention.films.pixel_aspect import square_shape

if TYPE_CHECKING:
    from pydicom import Dataset


def upright(film: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """A film with the patient's left on the right and the feet below.

    Args:
        film: `(height, width)` array, as its file stores it.
        dataset: the film's file.
    """
    transposed, mirrored, upended = _turns(dataset)
    film = film.T if transposed else film
    film = film[:, ::-1] if mirrored else film
    return film[::-1] if upended else film


def _turns(dataset) -> tuple[bool, bool, bool]:
    """How to turn a film by PatientOrientation (PS3.3 C.7.6.1.1.1), unless it says that this is no
    view from the front or the back: rows for columns, then left for right, then top for bottom."""
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
    """Where a box on a film that `read_film` gave lies in the file's own pixels.

    Args:
        box: left, top, right, bottom on the film, in pixels from its upper left corner.
        dataset: the film's file.

    Returns:
        The same in the file's pixels, as PS3.3 C.18.6.1.1 counts them.
    """
    left, top, right, bottom = box
    transposed, mirrored, upended = _turns(dataset)
    stored = dataset.Rows, dataset.Columns
    height, width = square = square_shape(stored, pixel_aspect_of(dataset))
    if transposed:
        height, width = width, height
    if upended:
        top, bottom = height - bottom, height - top
    if mirrored:
        left, right = width - right, width - left
    if transposed:
        left, top, right, bottom = top, left, bottom, right
    down, across = (own / made for own, made in zip(stored, square, strict=True))
    return left * across, top * down, right * across, bottom * down
