"""Reading the header of a DICOM file without its pixels, and recognising the view."""

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import ImageError, UnreadableError
from knee_attention.films.dicom.decoding import check_transfer_syntax
from knee_attention.films.dicom.geometry import pixel_aspect_of, spacing_of
from knee_attention.films.file_kinds import START, begins_as_dicom
from knee_attention.films.image_files import MOST_PIXELS, check_regular
from knee_attention.films.image_headers import inflates_beyond

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECTIONS = frozenset({"CR", "DX", "RG", "RF", "XA", "OT"})
"""Modalities of radiographs (PS3.3 C.7.3.1.1.1). Scanned films have the modality OT."""

MOST_BYTES = 4 * MOST_PIXELS
"""The largest size in bytes of an inflated DICOM file."""


@dataclass(frozen=True)
class Header:
    """The header elements of a DICOM film that this package uses; missing texts are blank.

    Attributes:
        subject: PatientID.
        date: StudyDate, yyyymmdd.
        accession: AccessionNumber.
        series: SeriesDescription.
        body_part: BodyPartExamined.
        view: ViewPosition.
        equipment: ManufacturerModelName.
        uid: SOPInstanceUID, unique for each image.
        side: `"R"` or `"L"` by ImageLaterality (PS3.3 C.8.11.2), else by Laterality (C.7.3.1); None
            if neither states one side.
        spacing: mm per pixel between rows and between columns: ImagerPixelSpacing (PS3.3
            C.8.11.7.1.1), at the detector, else PixelSpacing; None without both.
        pixel_aspect: height over width of the stored pixels; 1.0 for square pixels.
        other_view: the element that states a lateral or axial view, as `other_view` returns
            it; blank if none does.
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
    """Read the header of a DICOM radiograph, without its pixels.

    Args:
        path: the file.
        content: the file's bytes, if they are in memory; `path` is then only its name.

    Raises:
        ImageError: not a DICOM file, a damaged one, one without pixels, or not a radiograph.
    """
    dataset = read_dataset(path, content, stop_before_pixels=True)
    if "DirectoryRecordSequence" in dataset:
        raise ImageError(path, "a DICOM directory, not an image")
    if "SOPInstanceUID" not in dataset:
        raise UnreadableError(path, "a damaged or truncated DICOM file")
    modality = _text(dataset, "Modality")
    if modality and modality not in PROJECTIONS:
        raise ImageError(path, f"not a radiograph: modality {modality}")
    if "Rows" not in dataset or "Columns" not in dataset:
        raise UnreadableError(path, "a DICOM file without pixels")
    check_transfer_syntax(path, dataset)
    if frames_of(dataset) > 1:
        raise ImageError(path, "expected one frame, but the image has several")
    colours = _text(dataset, "PhotometricInterpretation")
    if not colours.startswith("MONOCHROME"):
        raise ImageError(path, f"not a grey image: {colours}; export it in grey, or as PNG")
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
    """The number of frames by NumberOfFrames; 1 if it is absent, blank, zero or not a number."""
    try:
        return max(1, int(float(_text(dataset, "NumberOfFrames"))))
    except (ValueError, OverflowError):
        return 1


def read_dataset(
    path: Path, content: bytes | None = None, stop_before_pixels: bool = False
) -> "Dataset":
    """Read a DICOM file and decode its texts.

    Args:
        path: the file.
        content: the file's bytes, if they are in memory; `path` is then only its name.
        stop_before_pixels: do not read the pixels.

    Raises:
        ImageError: not a DICOM file, a damaged one, or a file that inflates to more than
            `MOST_BYTES`.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    if content is None:
        check_regular(path)
    try:
        with path.open("rb") if content is None else BytesIO(content) as file:
            if inflates_beyond(file, MOST_BYTES):
                raise ImageError(path, f"it inflates to more than {MOST_BYTES / 1e6:.0f} MB")
            file.seek(0)
            known = begins_as_dicom(file.read(START))  # also without a preamble
            file.seek(0)
            dataset = dcmread(file, stop_before_pixels=stop_before_pixels, force=known)
            dataset.decode()
            _supply_syntax(dataset)
            return dataset
    except (ImageError, MemoryError):
        raise
    except InvalidDicomError:
        empty = not content if content is not None else path.stat().st_size == 0
        reason = "the file is empty" if empty else "not a DICOM file"
        raise UnreadableError(path, reason) from None
    except OSError as error:
        if error.errno is None:  # raised by pydicom, which missed a sequence's next item or its end
            reason = "a sequence is truncated or lacks its delimiter; export the film again"
            raise UnreadableError(path, reason) from None
        reason = f"cannot be read: {error.strerror or error}"
        raise ImageError(path, reason, temporary=True) from None
    except Exception:  # damaged files make the parser raise any exception
        raise UnreadableError(path, "a damaged or truncated DICOM file") from None


def _supply_syntax(dataset: "Dataset") -> None:
    """Set the transfer syntax of a file without group 0002 to the one that pydicom detected.

    Only uncompressed little endian pixels can be decoded that way.
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
    # A damaged text can be very long; valid ones have at most 64 characters (PS3.5 6.2).
    return "".join(letter if letter.isprintable() else " " for letter in text[:64]).strip()


def _side(dataset) -> str | None:
    side = _text(dataset, "ImageLaterality") or _text(dataset, "Laterality")
    return side if side in ("R", "L") else None


LATERAL_POSITION = re.compile(r"(ll|rl)[do]?|ml|lm|lat.*", re.IGNORECASE)
"""Values of ViewPosition (PS3.3 C.8.1.1, C.8.11.5) for a lateral view: LL, RL, decubitus, oblique,
and common variants."""

OTHER_VIEW_CODES = frozenset({
    # lateral, left, right, medial-lateral, lateral-medial, sagittal, and oblique ones
    "399067008", "399173006", "399118008", "399198007", "399297009", "399260004", "399352003",
    "30730003", "260427002", "399368009", "399099002", "260421001", "260424009",
    "R-102CD", "R-10236", "R-10232", "R-10224", "R-10228", "G-A145", "R-40783", "R-10226",
    "R-10230",
    # axial, tangential, cranio-caudal and caudo-cranial
    "399061009", "399110001", "399162004", "399196006",
    "R-10241", "R-102C2", "R-10242", "R-10244",
})  # fmt: skip
"""SNOMED codes of lateral and axial views in CID 4010 (PS3.16), as SCT and as SRT. Frontal,
antero-posterior and postero-anterior views, and obliques of these, are not in the list."""

OTHER_VIEW = re.compile(
    r"(?<![a-z])lat|mediolat|tangential|(?<![a-z])axial|skyline|sunrise|merchant|sagittal",
    re.IGNORECASE,
)
"""Words in CodeMeaning, for codes of any scheme."""

FRONT_OR_BACK = re.compile(r"[AP][LRHF]{0,2}")
"""A value of PatientOrientation that points mainly to the front or the back. The first letter is
the main direction (PS3.3 C.7.6.1.1.1)."""


def other_view(dataset: "Dataset") -> str:
    """The element that states a lateral or axial view instead of a frontal one.

    Args:
        dataset: the film's file.

    Returns:
        A lateral ViewPosition; else the meaning of a lateral or axial ViewCodeSequence; else a
        PatientOrientation that contains front or back (PS3.3 C.7.6.1.1.1). Blank if no element
        states such a view.
    """
    position = str(dataset.get("ViewPosition") or "").strip()
    if LATERAL_POSITION.fullmatch(position):
        return position
    codes = dataset.get("ViewCodeSequence") or ()
    for item in (item for item in codes if hasattr(item, "get")):
        code, meaning = (str(item.get(name) or "") for name in ("CodeValue", "CodeMeaning"))
        if code in OTHER_VIEW_CODES or OTHER_VIEW.search(meaning):
            return f"ViewCodeSequence {meaning or code}"
    orientation = dataset.get("PatientOrientation") or ""
    if isinstance(orientation, str):
        orientation = [orientation]
    if any(FRONT_OR_BACK.fullmatch(str(direction)) for direction in orientation):
        return "PatientOrientation " + "\\".join(map(str, orientation))
    return ""
