"""The pixels of a DICOM file as a film to look at."""

from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError
from knee_attention.films.containers import pixels_declared
from knee_attention.films.dicom.decoding import decoded
from knee_attention.films.dicom.header import read_dataset
from knee_attention.films.image_files import check_pixels
from knee_attention.films.orientation import upright

FINE_RANGE = 2**12 - 1
"""Fractional values over such a range may be rounded; a 12-bit film has no finer ones."""


def read_film(path: Path, content: bytes | None = None) -> np.ndarray:
    """Read a radiograph's pixels as a film to look at, bone bright.

    The modality LUT (PS3.3 C.11.1) and the VOI LUT or window (C.11.2) are applied, MONOCHROME1 is
    inverted (C.7.6.3.1.2), padding (C.7.5.1.1.2) becomes as dark as the darkest of the image, and
    the film is turned so that the patient's left is on the right and the feet are below. Values
    from 0 to 65535 keep their size, rounded; a range that does not begin there is moved to 0, and
    one too wide, or of fewer than 4,096 fractional values, is stretched over 0 to 65535.

    Args:
        path: the file.
        content: its bytes where they are in memory; `path` is then no more than its name.

    Returns:
        `(height, width)` uint16.

    Raises:
        ImageError: no DICOM file, a damaged or too large one, or compressed in a way that cannot be
            read here.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    dataset = read_dataset(path, content)
    if "PixelData" not in dataset:
        raise ImageError(path, "a DICOM file without pixels")
    stored = _decode(dataset, path)
    try:
        values = apply_modality_lut(stored, dataset)
        values = apply_voi_lut(values, dataset)
        low, high = _range(dataset, values)
    except MemoryError:
        raise
    except Exception:  # a malformed table or window, which pydicom meets with any exception
        raise ImageError(path, "a grey scale table or window that cannot be applied") from None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = (low + high) - values.astype(np.float64)
    padding = _padding(dataset, stored)
    if padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)
    return np.ascontiguousarray(upright(_as_uint16(values, low, high), dataset))


def _decode(dataset, path: Path) -> np.ndarray:
    check_pixels(path, _pixels(dataset, path))
    try:
        pixels = decoded(dataset)
    except MemoryError:
        raise
    except Exception as error:  # decoders are plug-ins, which fail in ways of their own
        raise _undecodable(path, dataset, error) from None
    if pixels.ndim != 2:
        raise ImageError(path, "no grey image of one frame")
    return pixels


def _undecodable(path: Path, dataset, error: Exception) -> ImageError:
    """What pydicom's words come to: a decoder that is not installed, or damage."""
    from pydicom.uid import JPEG2000TransferSyntaxes

    if "missing dependencies" not in str(error):
        return ImageError(path, "a damaged or truncated DICOM file")
    syntax = dataset.file_meta.TransferSyntaxUID
    extra = "dicom" if syntax in JPEG2000TransferSyntaxes else "dicom-jpeg"
    reason = f'{syntax.name} needs a decoder: pip install "knee_attention[{extra}]"'
    return ImageError(path, reason, passing=True)


def _pixels(dataset, path: Path) -> int:
    """Pixels of the image by the header, or by the compressed data where those say more."""
    from pydicom.encaps import get_frame

    try:
        stated = int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)
    except TypeError:  # two numbers
        raise ImageError(path, "a damaged or truncated DICOM file") from None
    try:
        compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1) if compressed else b""
    except Exception:  # a damaged file, which decoding will refuse
        return stated
    return max(stated, pixels_declared(frame))


def _range(dataset, values: np.ndarray) -> tuple[float, float]:
    """The values a film could have, whatever it has: what inversion turns about.

    Args:
        dataset: the DICOM file.
        values: after modality and VOI LUT.
    """
    from pydicom.pixels import apply_modality_lut

    tables = dataset.get("VOILUTSequence") or dataset.get("ModalityLUTSequence")
    if tables:
        low, high = 0, 2 ** int(tables[0].LUTDescriptor[2]) - 1
    else:
        bits, signed = dataset.BitsStored, dataset.PixelRepresentation
        stored = np.array([0, 2**bits - 1]) - (2 ** (bits - 1) if signed else 0)
        low, high = sorted(map(float, apply_modality_lut(stored, dataset)))
    return min(low, float(values.min())), max(high, float(values.max()))


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
