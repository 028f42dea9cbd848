"""Pixels that are not square: reading their aspect ratio, and resampling to square pixels."""

import struct

import cv2
import numpy as np

from knee_attention.films.image_headers import (
    DAMAGED,
    ORIENTATION,
    X_RESOLUTION,
    Y_RESOLUTION,
    tiff_tags,
)
from knee_attention.films.jpeg_segments import SCAN, jpeg_segments

LARGEST_ASPECT = 2.5
"""The largest plausible ratio of a pixel's sides. Scanners and fax reach 2.1; larger ratios are
mistakes of the writer."""

SQUARE = 0.01
"""Ratios this close to 1 are rounding errors: 72 dots an inch are 2834 or 2835 a metre."""

TRANSPOSED = 5
"""Exif and TIFF orientations from this value on exchange rows and columns (TIFF 6.0, section 8)."""

RESAMPLED = (np.uint8, np.uint16, np.int16, np.float32, np.float64)
"""The dtypes that OpenCV can resample."""


def plausible_aspect(vertical: float, horizontal: float) -> float:
    """The aspect ratio of a pixel, if the sizes that a file states are plausible.

    Args:
        vertical: height of a pixel, in any unit.
        horizontal: width of a pixel, in the same unit.

    Returns:
        Height over width; 1.0 for square pixels and for implausible sizes such as zero.
    """
    if not (0 < vertical < np.inf and 0 < horizontal < np.inf):
        return 1.0
    aspect = vertical / horizontal
    unusable = max(aspect, 1 / aspect) > LARGEST_ASPECT if aspect else True
    return 1.0 if unusable or abs(aspect - 1) <= SQUARE else aspect


def recorded_aspect(aspect: float) -> str:
    """An aspect ratio as text for tables: three significant digits, blank for square pixels."""
    return "" if aspect == 1 else f"{aspect:.3g}"


def square_shape(shape: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Height and width of a film after resampling to square pixels, which loses no detail.

    Args:
        shape: height and width of the film as stored.
        aspect: height over width of a pixel.
    """
    height, width = shape
    return (round(height * aspect), width) if aspect > 1 else (height, round(width / aspect))


def square_pixels(film: np.ndarray, aspect: float) -> np.ndarray:
    """Resample a film to square pixels: it grows along the longer side of its pixels.

    Args:
        film: `(height, width)`, any numeric dtype.
        aspect: height over width of a pixel; 1.0 returns the film itself.

    Returns:
        An array of the same dtype and of the shape from `square_shape`.
    """
    if aspect == 1:
        return film
    height, width = square_shape(film.shape, aspect)
    values = film if film.dtype in RESAMPLED else film.astype(np.float64)
    resampled = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    whole = np.issubdtype(film.dtype, np.integer) and resampled.dtype != film.dtype
    return (np.rint(resampled) if whole else resampled).astype(film.dtype, copy=False)


def aspect_of_file(content: bytes) -> float:
    """Height over width of an image file's pixels, after its Exif orientation is applied.

    It is read from pHYs in PNG, the density in JFIF, and the resolution in TIFF and in the Exif
    data of JPEG.

    Args:
        content: a PNG, JPEG, WebP, TIFF or BMP file.

    Returns:
        The ratio; 1.0 for WebP and BMP, and if the file states none or an implausible one.
    """
    try:
        if content[:4] == b"\x89PNG":
            return _png_aspect(content)
        if content[:2] == b"\xff\xd8":
            return _jpeg_aspect(content)
        return _exif_aspect(content)
    except DAMAGED:
        return 1.0


def _png_aspect(content) -> float:
    """The aspect ratio in pHYs (PNG 11.3.4.3). pHYs precedes the image data, and so does eXIf in
    the files that cameras write."""
    place, kind, aspect, transposed = 8, b"", 1.0, False
    while kind != b"IDAT" and place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"pHYs":
            aspect = plausible_aspect(*struct.unpack_from(">II", content, place + 8))
        elif kind == b"eXIf":
            transposed = _is_transposed(content[place + 8 : place + 8 + length])
        place += 12 + length
    return 1 / aspect if transposed else aspect


def _jpeg_aspect(content) -> float:
    """The aspect ratio by the density in JFIF (JFIF 1.02, page 5), else by Exif."""
    jfif, exif = None, b""
    for marker, start, end in jpeg_segments(content):
        if marker == SCAN:
            break
        head = content[start + 2 : start + 8]
        if marker == 0xE0 and head[:5] == b"JFIF\0":
            jfif = struct.unpack_from(">BHH", content, start + 9)
        elif marker == 0xE1 and head == b"Exif\0\0":
            exif = content[start + 8 : end]
    # Encoders write 1:1 without a unit if they do not know the density.
    if jfif is None or jfif == (0, 1, 1):
        return _exif_aspect(exif)
    aspect = plausible_aspect(*jfif[1:])
    return 1 / aspect if _is_transposed(exif) else aspect


def _exif_aspect(content) -> float:
    """The aspect ratio in a TIFF file, or in Exif data, which have the same form. A density is the
    inverse of a pixel's side, so the ratio of the densities is inverted too."""
    tags = tiff_tags(content)
    aspect = plausible_aspect(tags.get(X_RESOLUTION, 0), tags.get(Y_RESOLUTION, 0))
    return 1 / aspect if tags.get(ORIENTATION, 1) >= TRANSPOSED else aspect


def _is_transposed(exif: bytes) -> bool:
    return tiff_tags(exif).get(ORIENTATION, 1) >= TRANSPOSED
