"""What a report takes over from its film: whose it is, which study, and what it refers to."""

from pathlib import Path

from highdicom.enum import PatientSexValues
from pydicom import Dataset
from pydicom.valuerep import DA, TM

from knee_attention.errors import ImageError
from knee_attention.films.dicom.header import read_dataset
from knee_attention.films.dicom.spacing import ASPECTS
from knee_attention.films.inputs import FileInMemory
from knee_attention.grading.dicom.identifiers import is_identifier, valid_stand_in

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
"""Attributes of type 2 of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1), and what
has to understand them: they are blank where a film lacks them or breaks their form."""

FURTHER = (
    "IssuerOfPatientID", "OtherPatientIDs", "PatientComments", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence", "PatientAge",
    "StudyDescription", "BurnedInAnnotation", "PatientOrientation", "Rows", "Columns", *ASPECTS,
)  # fmt: skip
"""Where a film has them. From PatientOrientation on they say where on it a joint lies."""


def source_of(film: Path | FileInMemory) -> tuple[Dataset, dict[str, str]]:
    """What a report takes over from a film, in UTF-8 whatever the film's character set.

    Args:
        film: the DICOM file, on a disk or in memory.

    Returns:
        A data set in which identifiers that the standard forbids have valid stand-ins; and the
        film's own identifiers by these.

    Raises:
        ImageError: no readable DICOM file, or one without what a report is filed under.
    """
    in_memory = isinstance(film, FileInMemory)
    path, content = (Path(film.name), film.content) if in_memory else (film, None)
    header = read_dataset(path, content, stop_before_pixels=True)
    source, stand_ins = Dataset(), {}
    source.SpecificCharacterSet = UTF_8
    for keyword in REFERENCES:
        identifier = str(header.get(keyword) or "")
        if not is_identifier(identifier):
            raise ImageError(path, f"without a valid {keyword} no report can be filed beside it")
        valid = valid_stand_in(identifier)
        setattr(source, keyword, valid)
        if valid != identifier:
            stand_ins[valid] = identifier
    for keyword, understood in REQUIRED.items():
        setattr(source, keyword, header.get(keyword) if _fits(header, keyword, understood) else "")
    for keyword in FURTHER:
        if keyword in header:
            source[keyword] = header[keyword]
    return source, stand_ins


def _fits(film: Dataset, keyword: str, understood: type) -> bool:
    if not film.get(keyword):
        return False
    try:
        understood(film.get(keyword))
    except (ValueError, TypeError):
        return False
    return True
