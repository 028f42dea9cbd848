"""What a DICOM file says of its image, without the pixels."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import ImageError, UnreadableError
from knee_attention.films.dicom.spacing import pixel_aspect_of, spacing_of
from knee_attention.films.dicom.transfer_syntaxes import check_transfer_syntax
from knee_attention.films.dicom.views import other_view
from knee_attention.films.file_kinds import START, begins_as_dicom
from knee_attention.films.image_files import MOST_PIXELS, check_regular
from knee_attention.films.image_headers import inflates_beyond

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECTIONS = frozenset({"CR", "DX", "RG", "RF", "XA", "OT"})
"""Modalities that may hold a radiograph (PS3.3 C.7.3.1.1.1); OT is what scanned film is sent as."""

MOST_BYTES = 4 * MOST_PIXELS
"""Of a DICOM file once it is unpacked."""


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
        pixel_aspect: height over width of the pixels as they are stored; 1.0 for square ones.
        other_view: what says that this is a lateral or an axial view; blank where nothing does.
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
    pixel_aspect: float
    other_view: str


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
        raise UnreadableError(path, "a damaged or truncated DICOM file")
    modality = _text(dataset, "Modality")
    if modality and modality not in PROJECTIONS:
        raise ImageError(path, f"no radiograph: modality {modality}")
    if "Rows" not in dataset or "Columns" not in dataset:
        raise UnreadableError(path, "a DICOM file without pixels")
    check_transfer_syntax(path, dataset)
    if frames_of(dataset) > 1:
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
        spacing=spacing_of(dataset),
        pixel_aspect=pixel_aspect_of(dataset),
        other_view=_printable(other_view(dataset)),
    )


def frames_of(dataset: "Dataset") -> int:
    """How many frames a film says it has; 1 where that is blank, no number, or none at all, as
    files have it whose SOP class knows no frames."""
    try:
        return max(1, int(float(_text(dataset, "NumberOfFrames"))))
    except (ValueError, OverflowError):
        return 1


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
            known = begins_as_dicom(file.read(START))  # perhaps without a preamble
            file.seek(0)
            dataset = dcmread(file, stop_before_pixels=stop_before_pixels, force=known)
            dataset.decode()
            _supply_syntax(dataset)
            return dataset
    except (ImageError, MemoryError):
        raise
    except InvalidDicomError:
        empty = not content if content is not None else path.stat().st_size == 0
        raise UnreadableError(path, "the file is empty" if empty else "no DICOM file") from None
    except OSError as error:
        if error.errno is None:  # pydicom's own: it looked for a sequence's next item or its end
            reason = "a sequence without its delimiter, or cut short; export the film again"
            raise UnreadableError(path, reason) from None
        reason = f"cannot be read: {error.strerror or error}"
        raise ImageError(path, reason, passing=True) from None
    except Exception:  # a damaged file can fail anywhere in the parser, with any exception
        raise UnreadableError(path, "a damaged or truncated DICOM file") from None


def _supply_syntax(dataset: "Dataset") -> None:
    """Name the transfer syntax of uncompressed pixels, where a file without its header (group 0002)
    does not: the one that pydicom has found the data set to be written in.
    """
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" in dataset.file_meta:
        return
    compressed = "PixelData" in dataset and dataset["PixelData"].is_undefined_length
    implicit, little = dataset.original_encoding
    if little and not compressed:
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax


def _text(dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else _printable(str(value))


def _printable(text: str) -> str:
    # A damaged header can run on; what is read here has at most 64 characters (PS3.5 6.2).
    return "".join(letter if letter.isprintable() else " " for letter in text[:64]).strip()


def _side(dataset) -> str | None:
    said = _text(dataset, "ImageLaterality") or _text(dataset, "Laterality")
    return said if said in ("R", "L") else None
