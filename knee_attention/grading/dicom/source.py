"""Copy patient, study and UIDs of a film into its report, including UIDs with leading zeros.

PS3.5 9.1 forbids leading zeros, but archives hold many such UIDs, and the libraries refuse to write
them. A report must name its film by exactly the UID that the archive has.
"""

import re
import uuid
from pathlib import Path

from highdicom.enum import PatientSexValues
from pydicom import Dataset, config
from pydicom.uid import UID
from pydicom.valuerep import DA, TM

from knee_attention.errors import ImageError
from knee_attention.films.dicom.geometry import ASPECTS
from knee_attention.films.dicom.header import read_dataset
from knee_attention.films.inputs import FileInMemory

UTF_8 = "ISO_IR 192"

REFERENCES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

REQUIRED = {
    "PatientID": str,
    "PatientName": str,
    "PatientBirthDate": DA,
    "PatientSex": PatientSexValues,
    "StudyID": str,
    "StudyDate": DA,
    "StudyTime": TM,
    "AccessionNumber": str,
    "ReferringPhysicianName": str,
}
"""Type 2 attributes of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1), each with a
type that must parse its value. A missing or invalid value becomes blank."""

FURTHER = (
    "IssuerOfPatientID", "OtherPatientIDs", "PatientComments", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence", "PatientAge",
    "StudyDescription", "BurnedInAnnotation", "PatientOrientation", "Rows", "Columns", *ASPECTS,
)  # fmt: skip
"""Attributes that are copied if the film has them. Those from PatientOrientation on are needed to
place a joint's region on the stored image."""

SPACE = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
         "SliceThickness")  # fmt: skip
"""The place of the film in space, copied if it is complete. Most radiographs have none."""


def source_of(film: Path | FileInMemory) -> tuple[Dataset, dict[str, str]]:
    """The attributes of a film that its report copies, in UTF-8.

    Args:
        film: the DICOM file, on disk or in memory.

    Returns:
        A data set in which valid stand-ins replace invalid UIDs; and `{stand-in: original UID}`.

    Raises:
        ImageError: the file is not a readable DICOM file, or lacks a UID of `REFERENCES`.
    """
    in_memory = isinstance(film, FileInMemory)
    path, content = (Path(film.name), film.content) if in_memory else (film, None)
    header = read_dataset(path, content, stop_before_pixels=True)
    source, stand_ins = Dataset(), {}
    source.SpecificCharacterSet = UTF_8
    for keyword in REFERENCES:
        identifier = str(header.get(keyword) or "")
        if not is_identifier(identifier):
            raise ImageError(path, f"no valid {keyword}, which a report must refer to")
        valid = valid_stand_in(identifier)
        setattr(source, keyword, valid)
        if valid != identifier:
            stand_ins[valid] = identifier
    for keyword, parse in REQUIRED.items():
        setattr(source, keyword, header.get(keyword) if _parses(header, keyword, parse) else "")
    for keyword in FURTHER:
        if keyword in header:
            source[keyword] = header[keyword]
    identifier = str(header.get("FrameOfReferenceUID") or "")
    if is_identifier(identifier) and all(header.get(keyword) for keyword in SPACE):
        for keyword in SPACE:
            source[keyword] = header[keyword]
        source.FrameOfReferenceUID = valid = valid_stand_in(identifier)
        if valid != identifier:
            stand_ins[valid] = identifier
    return source, stand_ins


def _parses(film: Dataset, keyword: str, parse: type) -> bool:
    if not film.get(keyword):
        return False
    try:
        parse(film.get(keyword))
    except (ValueError, TypeError):
        return False
    return True


IDENTIFIER = re.compile(r"[0-9]+(\.[0-9]+)*")
"""A UID with or without leading zeros."""

LONGEST = 64
"""The most characters of a UID (PS3.5 9.1)."""


def is_identifier(text: str) -> bool:
    """Whether a text is a UID, with or without leading zeros."""
    return len(text) <= LONGEST and IDENTIFIER.fullmatch(text) is not None


def valid_stand_in(identifier: str) -> UID:
    """The UID itself if it is valid, else a valid UID derived from it.

    Args:
        identifier: a text for which `is_identifier` holds.
    """
    own = UID(identifier, config.IGNORE)
    if own.is_valid:
        return own
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, identifier).int}")


def restore(dataset: Dataset, stand_ins: dict[str, str]) -> None:
    """Replace stand-ins by the original UIDs, in place and at any depth.

    Args:
        dataset: the data set to change.
        stand_ins: `{stand-in: original UID}`.
    """
    if not stand_ins:
        return
    for element in dataset.iterall():
        if element.VR == "UI" and element.value in stand_ins:
            element.validation_mode = config.IGNORE
            element.value = stand_ins[element.value]
