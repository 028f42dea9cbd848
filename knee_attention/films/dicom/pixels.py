"""Reading the pixels of a DICOM file as a film for display."""

import re
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, UnreadableError
from knee_attention.films.dicom.decoding import check_transfer_syntax, decoded, undecodable
from knee_attention.films.dicom.geometry import pixel_aspect_of, upright
from knee_attention.films.dicom.grey_scale import displayed
from knee_attention.films.dicom.header import frames_of, read_dataset
from knee_attention.films.dicom.stored_bits import stored_values, take_words, words_of
from knee_attention.films.image_files import check_pixels
from knee_attention.films.image_headers import pixels_declared
from knee_attention.films.pixel_aspect import square_pixels

PIXEL_DATA = re.compile(rb"\xe0\x7f\x10\0(?:O[BW]\0\0)?\xff{4}")
"""The start of compressed pixel data: tag, VR and undefined length."""

FINE_RANGE = 2**12 - 1
"""Fractional values over at least this range are rounded. A 12-bit film has no finer steps."""


def read_film(path: Path, content: bytes | None = None) -> np.ndarray:
    """Read a radiograph's pixels as a film for display.

    - The modality LUT (PS3.3 C.11.1) and the VOI LUT or window (C.11.2) are applied.
    - MONOCHROME1 is inverted (C.7.6.3.1.2).
    - Padding (C.7.5.1.1.2) gets the image's darkest value.
    - Pixels that are not square are resampled to square ones (C.7.6.3.1.7).
    - The film is turned: the patient's left is on the right, the feet are at the bottom.
    - Values are rounded. A range outside 0 to 65535 is shifted to start at 0. A range that is too
      wide, or that holds fractional values and spans less than 4,095, is stretched over 0 to 65535.

    Args:
        path: the file.
        content: the file's bytes, if they are in memory; `path` is then only its name.

    Returns:
        `(height, width)` uint16.

    Raises:
        ImageError: not a DICOM file, a damaged or too large one, or an unsupported compression.
    """
    dataset = read_dataset(path, content)
    check_transfer_syntax(path, dataset)
    if "PixelData" not in dataset:
        raise _without_pixels(path, content)
    stored = _decode(dataset, path)
    try:
        values, low, high = displayed(stored, dataset)
    except MemoryError:
        raise
    except Exception:  # a malformed table or window makes pydicom raise any exception
        reason = "its grey scale table or window cannot be applied"
        raise UnreadableError(path, reason) from None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = (low + high) - values.astype(np.float64)
    padding = _padding(dataset, stored)
    if padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)
    film = square_pixels(_as_uint16(values, low, high), pixel_aspect_of(dataset))
    return np.ascontiguousarray(upright(film, dataset))


def _without_pixels(path: Path, content: bytes | None) -> UnreadableError:
    """The error for a file in which pydicom found no pixels; they may lack their end marker."""
    if not PIXEL_DATA.search(path.read_bytes() if content is None else content):
        return UnreadableError(path, "a DICOM file without pixels")
    reason = "the sequence delimiter behind its pixels is missing, or the file is truncated"
    return UnreadableError(path, f"{reason}; export the film again")


def _decode(dataset, path: Path) -> np.ndarray:
    aspect = pixel_aspect_of(dataset)
    check_pixels(path, round(_pixels(dataset, path) * max(aspect, 1 / aspect)))
    if frames_of(dataset) == 1:
        dataset.NumberOfFrames = 1
    try:
        words = words_of(dataset)
        stated = words and take_words(dataset, words)
        pixels = decoded(dataset)
    except MemoryError:
        raise
    except Exception as error:  # decoders are plug-ins and raise any exception
        raise undecodable(path, dataset, error) from None
    if pixels.ndim != 2:
        raise ImageError(path, "expected a grey image of one frame")
    if stated is None:
        return pixels
    try:
        values, bits, signed = stored_values(pixels, words, stated)
    except ValueError as error:
        raise UnreadableError(path, f"{error}; export the film again") from None
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int(signed)
    return values


def _pixels(dataset, path: Path) -> int:
    """The number of pixels by the header, or by the compressed data if that is larger."""
    from pydicom.encaps import get_frame

    try:
        stated = int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)
    except TypeError:  # an element holds two numbers
        raise UnreadableError(path, "a damaged or truncated DICOM file") from None
    try:
        compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1) if compressed else b""
    except Exception:  # decoding refuses the damaged file later
        return stated
    return max(stated, pixels_declared(frame))


def _padding(dataset, stored: np.ndarray) -> np.ndarray:
    """Which pixels have the padding value, `(height, width)` bool."""
    value = dataset.get("PixelPaddingValue")
    limit = dataset.get("PixelPaddingRangeLimit")
    try:
        low, high = sorted((int(value), int(value if limit is None else limit)))
    except (TypeError, ValueError):  # absent, or not numbers
        return np.zeros(stored.shape, bool)
    return (stored >= low) & (stored <= high)


def _as_uint16(values: np.ndarray, low: float, high: float) -> np.ndarray:
    whole = np.issubdtype(values.dtype, np.integer) or bool((values == np.rint(values)).all())
    if high - low > 65535 or not (whole or high - low >= FINE_RANGE):
        values, low, high = (values - low) * (65535 / max(high - low, 1e-9)), 0, 65535
    if low < 0 or high > 65535:
        values = values - low
    return np.rint(values).astype(np.uint16)
