"""The private codes of a report, and a structured report as text.

No standard scheme has a code for the Kellgren-Lawrence grade, so these are of the private scheme
`99KNEEATT` (PS3.16 section 8: private designators begin with 99).

In NEGATIVE, "turned" means inverted. The text stays, because reports in archives contain it.
"""

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset
from pydicom.sr.coding import Code

from knee_attention.errors import InputError
from knee_attention.films.dicom.header import read_dataset

SCHEME = "99KNEEATT"


def private(value: str, meaning: str) -> Code:
    """A code of the private scheme."""
    return Code(value, SCHEME, meaning)


# An evaluation and its values.
GRADE = private("KL", "Kellgren-Lawrence grade")
GRADES = [
    private(f"KL{grade}", f"Kellgren-Lawrence grade {grade} ({meaning})")
    for grade, meaning in enumerate(("none", "doubtful", "mild", "moderate", "severe"))
]
# Names of measurements, 0 to 1 or a grade from 0 to 4.
PROBABILITIES = [
    private(f"P{grade}", f"Probability of Kellgren-Lawrence grade {grade}") for grade in range(5)
]
MEAN_GRADE = private("MEAN", "Mean Kellgren-Lawrence grade under the probabilities")
OSTEOARTHRITIS = private("OA", "Probability of Kellgren-Lawrence grade 2 or higher")
LOWEST = private("LOWEST", "Lowest Kellgren-Lawrence grade of the prediction set")
HIGHEST = private("HIGHEST", "Highest Kellgren-Lawrence grade of the prediction set")
COVERAGE = private("COVERAGE", "Share of knees whose set holds the true grade")
# The quantity of a Parametric Map.
ATTENTION = private("ATTENTION", "Attention mask of a network, 0 to 1")
# The method of a measurement, besides `output`.
ENSEMBLE = private("ensemble", "All outputs, averaged before the softmax")

# Further evaluations, each with its only value.
RESEARCH_USE = (
    private("USE", "Intended use"),
    private("RESEARCH", "Research use only, not a medical device"),
)
PHANTOMS = (
    private("DATA", "Training data"),
    private("PHANTOMS", "Synthetic phantoms; says nothing about real knees"),
)
NEGATIVE = (
    private("POLARITY", "Polarity"),
    private("NEGATIVE", "Photographic negative, turned before grading"),
)
NOT_SQUARE = (
    private("PIXELS", "Pixels of the film"),
    private("NOTSQUARE", "Not square, resampled before grading"),
)
LOOK_AGAIN = (private("REVIEW", "Review"), private("AGAIN", "Look again"))
UNLIKE = (
    private("LIKENESS", "Likeness to the training data"),
    private("UNLIKE", "Unlike the knees it learnt from"),
)


def output(name: str) -> Code:
    """An output of the network as the method of a measurement."""
    return private(name, f"Output {name} of the network")


ABOUT = {"PatientName": "patient", "PatientID": "patient ID", "StudyDate": "study date",
         "SeriesDescription": "series", "SoftwareVersions": "software"}  # fmt: skip


def report_lines(path: Path) -> list[str]:
    """The lines of a structured report: patient and study, then its content, indented.

    Args:
        path: a DICOM file.

    Raises:
        InputError: the file is no structured report, or a damaged one.
        ImageError: the file is no readable DICOM file.
    """
    report = read_dataset(path, None)
    if "ContentSequence" not in report:
        name = getattr(report.get("SOPClassUID"), "name", "an unknown object")
        raise InputError(f"{path}: not a structured report, but {name}")
    about = [f"{title:14} {report.get(keyword)}" for keyword, title in ABOUT.items()
             if report.get(keyword)]  # fmt: skip
    try:
        return [*about, "", *_lines(report, 0)]
    except (AttributeError, IndexError, TypeError, ValueError):
        raise InputError(f"{path}: a damaged structured report") from None


def _lines(item: Dataset, depth: int) -> Iterator[str]:
    children = item.get("ContentSequence", [])
    name, value = _meaning(item, "ConceptNameCodeSequence"), _value(item)
    if item.get("ValueType") == "NUM" and children:  # the method, such as the output of the network
        name, children = f"{name} ({', '.join(map(_value, children))})", []
    yield "  " * depth + (f"{name}: {value}" if value else name)
    for child in children:
        yield from _lines(child, depth + 1)


def _value(item: Dataset) -> str:
    """The value of a content item; empty for a container or an item by reference."""
    kind = item.get("ValueType")
    if kind == "NUM":
        if not item.get("MeasuredValueSequence"):
            return ""
        [measured] = item.MeasuredValueSequence
        is_grade = item.ConceptNameCodeSequence[0].get("CodeValue") in (LOWEST.value, HIGHEST.value)
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
