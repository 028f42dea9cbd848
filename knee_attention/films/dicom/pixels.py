"""The pixels of a DICOM file as a film to look at."""

import re
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, UnreadableError
from knee_attention.films.dicom.decoding import decoded
from knee_attention.films.dicom.grey_scale import displayed
from knee_attention.films.dicom.header import frames_of, read_dataset
from knee_attention.films.dicom.spacing import pixel_aspect_of
from knee_attention.films.dicom.stored_bits import stored_values, take_words, words_of
from knee_attention.films.dicom.transfer_syntaxes import check_transfer_syntax, undecodable
from knee_attention.films.image_files import check_pixels
from knee_attention.films.image_headers import pixels_declared
from knee_attention.films.orientation import upright
from knee_attention.films.pixel_aspect import square_pixels

PIXEL_DATA = re.compile(rb"\xe0\x7f\x10\0(?:O[BW]\0\0)?\xff{4}")
"""The beginning of compressed pixels: their tag, their VR, and a length that is not known."""

FINE_RANGE = 2**12 - 1
"""Fractional values over such a range may be rounded; a 12-bit film has no finer ones."""


def read_film(path: Path, content: bytes | None = None) -> np.ndarray:
    """Read a radiograph's pixels as a film to look at, bone bright.

    The modality LUT (PS3.3 C.11.1) and the VOI LUT or window (C.11.2) are applied, MONOCHROME1 is
    inverted (C.7.6.3.1.2), padding (C.7.5.1.1.2) becomes as dark as the darkest of the image,
    pixels that are not square are resampled to square ones (C.7.6.3.1.7), and the film is turned so
    that the patient's left is on the right and the feet are below. Values from 0 to 65535 keep
    their size, rounded; a range that does not begin there is moved to 0, and one too wide, or of
    fewer than 4,096 fractional values, is stretched over 0 to 65535.

    Args:
        path: the file.
        content: its bytes where they are in memory; `path` is then no more than its name.

    Returns:
        `(height, width)` uint16.

    Raises:
        ImageError: no DICOM file, a damaged or too large one, or compressed in a way that cannot be
            read here.
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
    except Exception:  # a malformed table or window, which pydicom meets with any exception
        raise UnreadableError(path, "a grey scale table or window that cannot be applied") from None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = (low + high) - values.astype(np.float64)
    padding = _padding(dataset, stored)
    if padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)
    film = square_pixels(_as_uint16(values, low, high), pixel_aspect_of(dataset))
    return np.ascontiguousarray(upright(film, dataset))


def _without_pixels(path: Path, content: bytes | None) -> UnreadableError:
    """Of pixels that the file has and pydicom passes over, because nothing says where they end."""
    if not PIXEL_DATA.search(path.read_bytes() if content is None else content):
        return UnreadableError(path, "a DICOM file without pixels")
    reason = "its pixels have no end: the sequence delimiter behind them is missing, or the file is"
    return UnreadableError(path, f"{reason} truncated; export the film again")


def _decode(dataset, path: Path) -> np.ndarray:
    aspect = pixel_aspect_of(dataset)
    check_pixels(path, round(_pixels(dataset, path) * max(aspect, 1 / aspect)))
    if frames_of(dataset) == 1:
        dataset.NumberOfFrames = 1
    try:
        words = words_of(dataset)
        said = words and take_words(dataset, words)
        pixels = decoded(dataset)
    except MemoryError:
        raise
    except Exception as error:  # decoders are plug-ins, which fail in ways of their own
        raise undecodable(path, dataset, error) from None
    if pixels.ndim != 2:
        raise ImageError(path, "no grey image of one frame")
    if said is None:
        return pixels
    try:
        values, bits, signed = stored_values(pixels, words, said)
    except ValueError as error:
        raise UnreadableError(path, f"{error}; export the film again") from None
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int(signed)
    return values


def _pixels(dataset, path: Path) -> int:
    """Pixels of the image by the header, or by the compressed data where those say more."""
    from pydicom.encaps import get_frame

    try:
        stated = int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)
    except TypeError:  # two numbers
        raise UnreadableError(path, "a damaged or truncated DICOM file") from None
    try:
        compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1) if compressed else b""
    except Exception:  # a damaged file, which decoding will refuse
        return stated
    return max(stated, pixels_declared(frame))


def _padding(dataset, stored: np.ndarray) -> np.ndarray:
    """Where a file says that there is no image, `(height, width)` bool."""
    value = dataset.get("PixelPaddingValue")
    limit = dataset.get("PixelPaddingRangeLimit")
    try:
        low, high = sorted((int(value), int(value if limit is None else limit)))
    except (TypeError, ValueError):  # none given, or no numbers
        return np.zeros(stored.shape, bool)
    return (stored >= low) & (stored <= high)


def _as_uint16(values: np.ndarray, low: float, high: float) -> np.ndarray:
    whole = np.issubdtype(values.dtype, np.integer) or bool((values == np.rint(values)).all())
    if high - low > 65535 or not (whole or high - low >= FINE_RANGE):
        values, low, high = (values - low) * (65535 / max(high - low, 1e-9)), 0, 65535
    if low < 0 or high > 65535:
        values = values - low
    return np.rint(values).astype(np.uint16)
