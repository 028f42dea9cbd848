"""Grade the local films of a calibration the way every film is graded: localiser, crop, network.

A calibration starts from the original one of the model, also if the file already has a local one.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np

from knee_attention.datasets.persons import Manifest, places_of_known
from knee_attention.errors import ImageError, InputError
from knee_attention.evidence.calibration import Calibration
from knee_attention.evidence.confidence import rounded
from knee_attention.evidence.local_fit import LocalFit
from knee_attention.evidence.predictions import Predictions, own_subjects
from knee_attention.evidence.probabilities import classifying
from knee_attention.films.inputs import files_to_open
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import Grader
from knee_attention.limits import GRADES
from knee_attention.networks.files.copies import copy_with_description

LEAST_FILMS = 25
"""Fewer films cannot determine the five fitted numbers: four shifts and a temperature."""

LEAST_PERSONS = 3
"""A calibration is cross-validated over persons, and cross-validates its thresholds within that."""

LOCAL = "local_calibration"
"""The entry of a description that a calibration adds."""


def graded_films(folder: Path) -> list[tuple[Path, int]]:
    """The films in `<folder>/<grade 0-4>/` with their grades.

    Raises:
        InputError: no such folder, no image, or an image elsewhere in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected films in the folders {folder}/0 to "
                         f"{folder}/4")
    found = []
    for path in files_to_open([folder]):
        grade, *rest = path.relative_to(folder).parts
        if grade not in map(str, GRADES) or len(rest) != 1:
            raise InputError(f"{path}: expected films in the folders {folder}/0 to {folder}/4; of "
                             "a data set with splits, give the folder of one split")
        found.append((path, int(grade)))
    return found


def original(description: Mapping) -> dict:
    """A description without local calibration."""
    return {name: value for name, value in description.items() if name != LOCAL}


def grade_films(
    grader: Grader,
    films: list[tuple[Path, int]],
    view: str = "auto",
    opened: Callable[[Path], object] = Path,
) -> Iterator[tuple[Path, int, GradedKnee | ImageError]]:
    """Grade films with the original calibration of a model.

    Args:
        grader: the model's grader; its calibration is replaced by the original one.
        films: the result of `graded_films`.
        view: one of `limits.VIEWS`.
        opened: from the path of a film to an image that `Grader.grade` takes.

    Yields:
        for each film its path, its grade, and the `GradedKnee`, or an `ImageError` if it cannot be
        graded or shows two knees, whose folder names one grade only.
    """
    grader.calibration, grader.coverage = Calibration.recorded(original(grader.description)), None
    graded = grader.grade_all((opened(path) for path, _ in films), view)
    for (path, grade), (_, knees) in zip(films, graded, strict=True):
        if not isinstance(knees, ImageError) and len(knees) > 1:
            knees = ImageError(path, "shows two knees, but its folder names one grade")
        yield path, grade, knees if isinstance(knees, ImageError) else knees[0]


def graded_of(
    films: Iterable[tuple[Path, int, GradedKnee | ImageError]], count: int, title: str
) -> Iterator[tuple[Path, int, GradedKnee]]:
    """Yield the graded films, with a progress bar; report the others on standard error.

    Args:
        films: the result of `grade_films`.
        count: their number.
        title: a title of the progress bar.
    """
    from tqdm import tqdm

    with tqdm(total=count, desc=title, unit="film", disable=None) as progress:
        for path, grade, knee in films:
            progress.update()
            if isinstance(knee, ImageError):
                progress.write(f"not graded: {knee}", file=sys.stderr)
            else:
                yield path, grade, knee


def as_predictions(
    folder: Path, graded: list[tuple[Path, int, GradedKnee]]
) -> Predictions:
    """The graded films as a table; persons are identified by manifest.csv, else by file names.

    Raises:
        InputError: fewer than 25 films, a single grade, or fewer than three persons.
    """
    files = [path.relative_to(folder).as_posix() for path, _, _ in graded]
    subjects = _subjects(folder, [path for path, _, _ in graded])
    grades = np.array([grade for _, grade, _ in graded], np.int64)
    if len(files) < LEAST_FILMS:
        raise InputError(f"{folder}: {len(files)} films are graded; a calibration needs at least "
                         f"{LEAST_FILMS}")
    if len(set(grades.tolist())) < 2:
        raise InputError(f"{folder}: all films have the grade {grades[0]}; a calibration needs "
                         "films of several grades, best of all five")
    if len(set(subjects)) < LEAST_PERSONS:
        raise InputError(f"{folder}: the films are of {' and '.join(sorted(set(subjects)))} alone, "
                         "by manifest.csv or by the file names; a calibration needs films of "
                         f"{LEAST_PERSONS} persons at least")
    outputs = classifying(graded[0][2].branches)
    values = {name: np.stack([knee.branches[name] for _, _, knee in graded]) for name in outputs}
    return Predictions(files, subjects, grades, values)


def refuse_training_persons(
    description: Mapping, folder: Path, films: list[tuple[Path, int]]
) -> None:
    """Refuse films of persons that the model was trained on, if its file records them.

    Raises:
        InputError: there are such films; the message names the first.
    """
    subjects = _subjects(folder, [path for path, _ in films])
    places = places_of_known(description.get("training_persons") or "", subjects)
    if places:
        raise InputError(f"{films[places[0]][0]}: the model was trained on person "
                         f"{subjects[places[0]]} ({len(places)} of {len(films)} films are of such "
                         "persons); leave them out")


def _subjects(folder: Path, paths: list[Path]) -> list[str]:
    """The person of each film by manifest.csv, or else by the name of its file."""
    manifest = Manifest.read(folder)
    files = [path.relative_to(folder).as_posix() for path in paths]
    return own_subjects(files, [manifest.subject_of(file) for file in files])


def write_calibrated(
    source: Path, path: Path, grader: Grader, fit: LocalFit, folder: Path
) -> None:
    """Write a copy of a model file with a local calibration and its origin; same weights.

    Args:
        source: the model file.
        path: the file to write.
        grader: the model's grader.
        fit: the calibration.
        folder: the folder of the films, whose name is recorded.

    Raises:
        InputError: the file was replaced since it was loaded, or cannot be written.
    """
    grader.network.file.refuse_replaced()
    origin = {"data": folder.resolve().name, "date": date.today().isoformat()}
    figures = {"before": rounded(fit.before), "after": rounded(fit.after)}
    entry = {**origin, **fit.entry, "cross_validated": figures}
    copy_with_description(source, path, {**original(grader.description), LOCAL: entry})
