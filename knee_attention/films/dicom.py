"""A radiograph out of a DICOM file: what it is, and its pixels as a film to look at."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knee_attention.errors import ImageError
from knee_attention.films.containers import inflates_beyond, pixels_declared
from knee_attention.films.image_files import MOST_PIXELS, check_pixels, check_regular
from knee_attention.films.orientation import upright

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECTIONS = frozenset({"CR", "DX", "RG", "RF", "XA", "OT"})
"""Modalities that may hold a radiograph (PS3.3 C.7.3.1.1.1); OT is what scanned film is sent as."""

MOST_BYTES = 4 * MOST_PIXELS
"""Of a DICOM file once it is unpacked."""

FINE_RANGE = 2**12 - 1
"""Fractional values over such a range may be rounded; a 12-bit film has no finer ones."""


@dataclass(frozen=True)
class Header:
    """What a DICOM file says about its image; text is blank where it says nothing.

    Attributes:
        subject: PatientID.
        date: StudyDate, yyyymmdd.
        accession: AccessionNumber.
        series: SeriesDescription.
        body_part: BodyPartExamined.
        view: ViewPosition.
        equipment: ManufacturerModelName.
        uid: SOPInstanceUID, one per image.
        side: R or L of an image of one side, as ImageLaterality (PS3.3 C.8.11.2) has it, else
            Laterality (C.7.3.1); None where neither does.
        spacing: mm per pixel between rows and between columns: ImagerPixelSpacing (PS3.3
            C.8.11.7.1.1), at the detector, else PixelSpacing.
    """

    subject: str
    date: str
    accession: str
    series: str
    body_part: str
    view: str
    equipment: str
    uid: str
    side: str | None
    spacing: tuple[float, float] | None


def read_header(path: Path, content: bytes | None = None) -> Header:
    """Read what a DICOM file says about its image, without the pixels.

    Args:
        path: the file.
        content: its bytes where they are in memory; `path` is then no more than its name.

    Raises:
        ImageError: no DICOM file, a damaged one, one without pixels, or no radiograph.
    """
    dataset = read_dataset(path, content, stop_before_pixels=True)
    if "DirectoryRecordSequence" in dataset:
        raise ImageError(path, "a DICOM directory, no image")
    if "SOPInstanceUID" not in dataset:
        raise ImageError(path, "a damaged or truncated DICOM file")
    modality = _text(dataset, "Modality")
    if modality and modality not in PROJECTIONS:
        raise ImageError(path, f"no radiograph: modality {modality}")
    if "Rows" not in dataset or "Columns" not in dataset:
        raise ImageError(path, "a DICOM file without pixels")
    if _text(dataset, "NumberOfFrames") not in ("", "1"):
        raise ImageError(path, "several frames")
    if not _text(dataset, "PhotometricInterpretation").startswith("MONOCHROME"):
        raise ImageError(path, f"no grey image: {_text(dataset, 'PhotometricInterpretation')}")
    return Header(
        subject=_text(dataset, "PatientID"),
        date=_text(dataset, "StudyDate"),
        accession=_text(dataset, "AccessionNumber"),
        series=_text(dataset, "SeriesDescription"),
        body_part=_text(dataset, "BodyPartExamined"),
        view=_text(dataset, "ViewPosition"),
        equipment=_text(dataset, "ManufacturerModelName"),
        uid=_text(dataset, "SOPInstanceUID"),
        side=_side(dataset),
        spacing=_spacing(dataset),
    )


def read_dataset(
    path: Path, content: bytes | None = None, stop_before_pixels: bool = False
) -> "Dataset":
    """Everything that a DICOM file holds, its texts decoded.

    Args:
        path: the file, or what to call its content.
        content: the file's bytes, where they lie in memory.
        stop_before_pixels: read no pixels.

    Raises:
        ImageError: no DICOM file, or a damaged one.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    if content is None:
        check_regular(path)
    try:
        with path.open("rb") if content is None else BytesIO(content) as file:
            if inflates_beyond(file, MOST_BYTES):
                raise ImageError(path, f"it unpacks to more than {MOST_BYTES / 1e6:.0f} MB")
            file.seek(0)
            dataset = dcmread(file, stop_before_pixels=stop_before_pixels)
            dataset.decode()
            return dataset
    except ImageError:
        raise
    except InvalidDicomError:
        empty = not content if content is not None else path.stat().st_size == 0
        raise ImageError(path, "the file is empty" if empty else "no DICOM file") from None
    except OSError as error:
        raise ImageError(path, f"cannot be read: {error.strerror or error}") from None
    except Exception:  # a damaged file can fail anywhere in the parser, with any exception
        raise ImageError(path, "a damaged or truncated DICOM file") from None


def _text(dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    text = "" if value is None else str(value)
    # A damaged header can run on; what is read here has at most 64 characters (PS3.5 6.2).
    return "".join(letter if letter.isprintable() else " " for letter in text[:64]).strip()


def _side(dataset) -> str | None:
    said = _text(dataset, "ImageLaterality") or _text(dataset, "Laterality")
    return said if said in ("R", "L") else None


def _spacing(dataset) -> tuple[float, float] | None:
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        try:
            rows, columns = map(float, dataset.get(keyword) or ())
        except (TypeError, ValueError):  # one number, three, or a decimal comma
            continue
        if 0 < min(rows, columns) and max(rows, columns) < np.inf:
            return rows, columns
    return None


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
    except Exception:  # a malformed table or window, which pydicom meets with any exception
        raise ImageError(path, "a grey scale table or window that cannot be applied") from None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = (low + high) - values.astype(np.float64)
    padding = _padding(dataset, stored)
    if padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)
    return np.ascontiguousarray(upright(_as_uint16(values, low, high), dataset))


def _decode(dataset, path: Path) -> np.ndarray:
    check_pixels(path, _pixels(dataset))
    try:
        pixels = dataset.pixel_array
    except Exception as error:  # decoders are plug-ins, which fail in ways of their own
        raise ImageError(path, _why_undecodable(dataset, error)) from None
    if pixels.ndim != 2:
        raise ImageError(path, "no grey image of one frame")
    return pixels


def _why_undecodable(dataset, error: Exception) -> str:
    """What pydicom's words come to: a decoder that is not installed, or damage."""
    from pydicom.uid import JPEG2000TransferSyntaxes

    # Pillow takes on JPEG Extended, and gives up at 12 bits.
    if "missing dependencies" not in str(error) and "12-bit precision" not in str(error):
        return "a damaged or truncated DICOM file"
    syntax = dataset.file_meta.TransferSyntaxUID
    extra = "dicom" if syntax in JPEG2000TransferSyntaxes else "dicom-jpeg"
    return f'{syntax.name} needs a decoder: pip install "knee_attention[{extra}]"'


def _pixels(dataset) -> int:
    """Pixels of the image by the header, or by the compressed data where those say more."""
    from pydicom.encaps import get_frame

    stated = int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)
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
