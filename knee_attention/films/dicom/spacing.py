"""Size and aspect ratio of a DICOM film's pixels."""

from typing import TYPE_CHECKING

import numpy as np

from knee_attention.films.pixel_aspect import plausible_aspect

if TYPE_CHECKING:
    from pydicom import Dataset

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
