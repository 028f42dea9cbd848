"""A structured report as text."""

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset

from knee_attention.errors import InputError
from knee_attention.films.dicom.header import read_dataset
from knee_attention.grading.dicom.codes import HIGHEST, LOWEST

ABOUT = {"PatientName": "patient", "PatientID": "patient ID", "StudyDate": "study date",
         "SeriesDescription": "series", "SoftwareVersions": "software"}  # fmt: skip


def report_lines(path: Path) -> list[str]:
    """The lines of a structured report: patient and study, then its content, indented.

    Args:
        path: a DICOM file.

    Raises:
        InputError: the file is no structured report.
        ImageError: the file is no readable DICOM file.
    """
    report = read_dataset(path, None)
    if "ContentSequence" not in report:
        name = getattr(report.get("SOPClassUID"), "name", "an unknown object")
        raise InputError(f"{path}: not a structured report, but {name}")
    about = [f"{title:14} {report.get(keyword)}" for keyword, title in ABOUT.items()
             if report.get(keyword)]  # fmt: skip
    return [*about, "", *_lines(report, 0)]


def _lines(item: Dataset, depth: int) -> Iterator[str]:
    children = item.get("ContentSequence", [])
    name, value = _meaning(item, "ConceptNameCodeSequence"), _value(item)
    if item.ValueType == "NUM" and children:  # the method, such as the output of the network
        name, children = f"{name} ({', '.join(map(_value, children))})", []
    yield "  " * depth + (f"{name}: {value}" if value else name)
    for child in children:
        yield from _lines(child, depth + 1)


def _value(item: Dataset) -> str:
    """The value of a content item; empty for a container or an item by reference."""
    kind = item.get("ValueType")
    if kind == "NUM":
        [measured] = item.MeasuredValueSequence
        is_grade = item.ConceptNameCodeSequence[0].CodeValue in (LOWEST.value, HIGHEST.value)
        return f"{float(measured.NumericValue):.{0 if is_grade else 3}f}"
    if kind in ("IMAGE", "COMPOSITE"):
        [reference] = item.ReferencedSOPSequence
        return reference.ReferencedSOPInstanceUID
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    named = {"TEXT": "TextValue", "UIDREF": "UID", "PNAME": "PersonName", "SCOORD": "GraphicData"}
    return str(item.get(named.get(kind, ""), ""))


def _meaning(item: Dataset, keyword: str) -> str:
    found = item.get(keyword)
    return found[0].CodeMeaning if found else ""
