"""The report of a film: a structured report, a Secondary Capture Image, and a Parametric Map."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from knee_attention.errors import ImageError
from knee_attention.files import written_whole
from knee_attention.films.inputs import FileInMemory
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.dicom.images import parametric_map, secondary_capture
from knee_attention.grading.dicom.source import restore, source_of
from knee_attention.grading.dicom.structured_report import structured_report
from knee_attention.grading.graded_knee import GradedKnee


def reports_of(
    film: Path | FileInMemory,
    knees: list[GradedKnee],
    algorithm: Algorithm,
    with_map: bool = False,
) -> list[Dataset]:
    """The report of a graded film, in the film's study.

    Args:
        film: the DICOM file, on disk or in memory.
        knees: the film's graded knees.
        algorithm: the model that graded them.
        with_map: also make a Parametric Map, for a model that `Grader.check_masks_fit_boxes`
            accepts.

    Returns:
        The Comprehensive 3D SR with the grades, the Secondary Capture Image with the attention, and
        with `with_map` the Parametric Map.

    Raises:
        ImageError: the film is not a readable DICOM file, lacks a UID that the report refers to, or
            its header is too damaged to copy into a report.
    """
    try:
        source, stand_ins = source_of(film)
        makers = [structured_report, secondary_capture, *[parametric_map] * with_map]
        reports = [make(source, knees, algorithm) for make in makers]
        for report in reports:
            restore(report, stand_ins)
        return reports
    except (ImageError, MemoryError):
        raise
    except Exception:  # highdicom and pydicom raise many kinds of error for a damaged header
        raise ImageError(film, "its DICOM header is damaged and cannot be copied into a report"
                         ) from None


def file_content(report: Dataset) -> bytes:
    """The content of a DICOM file (PS3.10) with this object."""
    content = io.BytesIO()
    report.save_as(content, enforce_file_format=True)
    return content.getvalue()


def write_report(path: Path, report: Dataset) -> None:
    """Write an object as a DICOM file, atomically.

    Raises:
        InputError: the file cannot be written there.
    """
    content = file_content(report)
    with written_whole(path) as beside:
        beside.write_bytes(content)


@dataclass(frozen=True)
class ReportFiles:
    """Writes reports of many films, and refuses to report the same film twice.

    Attributes:
        algorithm: the model that grades the films.
        with_map: also write Parametric Maps.
    """

    algorithm: Algorithm
    with_map: bool = False
    _reported: dict[str, Path] = field(default_factory=dict)

    def write(self, film: Path, knees: list[GradedKnee], *paths: Path) -> None:
        """Write the report of a film.

        Args:
            film: the DICOM file.
            knees: the film's graded knees.
            paths: the files of the structured report, of the Secondary Capture Image and, if it is
                made, of the Parametric Map.

        Raises:
            ImageError: see `reports_of`; or another file with the same SOPInstanceUID is already
                reported.
            InputError: a file cannot be written.
        """
        reports = reports_of(film, knees, self.algorithm, with_map=self.with_map)
        first = self._reported.setdefault(reports[0].SOPInstanceUID, film)
        if first != film:
            raise ImageError(film, f"the same SOPInstanceUID as {first}, which is already reported")
        for path, report in zip(paths, reports, strict=True):
            write_report(path, report)
