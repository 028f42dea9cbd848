"""How large the pixels of a DICOM film are, and whether they are square."""

from typing import TYPE_CHECKING

import numpy as np

from knee_attention.films.pixel_aspect import plausible_aspect

if TYPE_CHECKING:
    from pydicom import Dataset

SPACINGS = ("ImagerPixelSpacing", "PixelSpacing")
"""PS3.3 C.8.11.7.1.1, at the detector, and 10.7.1.1, at the patient: between rows, then columns."""

ASPECTS = (*SPACINGS, "NominalScannedPixelSpacing", "PixelAspectRatio")
"""What states the shape of a pixel, height before width, the first that can be read counts. The
ratio (PS3.3 C.7.6.3.1.7) is for films without a spacing; the spacing of scanners is that of
secondary captures (C.8.6.1)."""


def spacing_of(dataset: "Dataset") -> tuple[float, float] | None:
    """mm per pixel between rows and between columns; None where a film states none."""
    return next(filter(None, (_pair(dataset, keyword) for keyword in SPACINGS)), None)


def pixel_aspect_of(dataset: "Dataset") -> float:
    """Height over width of a film's pixels as they are stored.

    Returns:
        The ratio; 1.0 for square pixels, and where the film states no shape that pixels have.
    """
    stated = filter(None, (_pair(dataset, keyword) for keyword in ASPECTS))
    return plausible_aspect(*next(stated, (1, 1)))


def _pair(dataset, keyword: str) -> tuple[float, float] | None:
    try:
        first, second = map(float, dataset.get(keyword) or ())
    except (TypeError, ValueError):  # one number, three, or a decimal comma
        return None
    return (first, second) if 0 < min(first, second) and max(first, second) < np.inf else None
