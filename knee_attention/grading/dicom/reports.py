"""The two objects that report a film: made, and written whole."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from knee_attention.errors import ImageError
from knee_attention.files import written_whole
from knee_attention.films.inputs import FileInMemory
from knee_attention.films.network_input import Place
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.dicom.identifiers import restore
from knee_attention.grading.dicom.secondary_capture import secondary_capture
from knee_attention.grading.dicom.source import source_of
from knee_attention.grading.dicom.structured_report import Corners, structured_report
from knee_attention.grading.graded_knee import GradedKnee


@dataclass(frozen=True)
class Reports:
    """What reports a film.

    Attributes:
        report: the Comprehensive 3D SR with the grades.
        picture: the Secondary Capture Image with the attention.
    """

    report: Dataset
    picture: Dataset


def reports_of(
    film: Path | FileInMemory,
    knees: list[GradedKnee],
    algorithm: Algorithm,
    joints: dict[str | None, Corners] | None = None,
) -> Reports:
    """Report a film in its own study.

    Args:
        film: the DICOM file, on a disk or in memory.
        knees: of that film, as they were graded.
        algorithm: what graded them.
        joints: by side, left, top, right, bottom of the joint on the upright film in pixels; by
            default what was cut out for a model of crops.

    Raises:
        ImageError: the film is no readable DICOM file, names no study, or its header breaks the
            standard in a way that no report can take over.
    """
    if joints is None:
        joints = {knee.side: _corners(knee.place) for knee in knees if knee.place}
    try:
        source, stand_ins = source_of(film)
        made = Reports(
            structured_report(source, knees, algorithm, joints),
            secondary_capture(source, knees, algorithm),
        )
        for report in (made.report, made.picture):
            restore(report, stand_ins)
        return made
    except (ImageError, MemoryError):
        raise
    except Exception:  # of a damaged header highdicom and pydicom complain in many ways
        raise ImageError(film, "its header cannot be taken over into a report") from None


def _corners(place: Place) -> Corners:
    """What was cut out, as far as it lies on the film."""
    left, top, width, height = place.box
    down, across = place.size
    return max(left, 0), max(top, 0), min(left + width, across), min(top + height, down)


def file_content(report: Dataset) -> bytes:
    """One of them as a DICOM file (PS3.10)."""
    content = io.BytesIO()
    report.save_as(content, enforce_file_format=True)
    return content.getvalue()


def write_report(path: Path, report: Dataset) -> None:
    """Write one of them as a DICOM file, whole or not at all.

    Raises:
        InputError: it cannot be written there.
    """
    content = file_content(report)
    with written_whole(path) as beside:
        beside.write_bytes(content)


@dataclass(frozen=True)
class ReportFiles:
    """Reports of many films, each film once.

    Attributes:
        algorithm: what grades them.
    """

    algorithm: Algorithm
    _reported: dict[str, Path] = field(default_factory=dict)

    def write(self, film: Path, knees: list[GradedKnee], report: Path, picture: Path) -> None:
        """Write what reports a film.

        Args:
            film: the DICOM file.
            knees: of that film, as they were graded.
            report: where the structured report goes.
            picture: where the Secondary Capture Image goes.

        Raises:
            ImageError: as `reports_of` does, or the film was reported from another file.
            InputError: a file cannot be written.
        """
        made = reports_of(film, knees, self.algorithm)
        first = self._reported.setdefault(made.report.SOPInstanceUID, film)
        if first != film:
            raise ImageError(film, f"the same film as {first} by its SOPInstanceUID, reported once")
        write_report(report, made.report)
        write_report(picture, made.picture)
