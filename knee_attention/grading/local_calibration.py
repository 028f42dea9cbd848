"""Grade the local films of a calibration the way every film is graded: localiser, crop, network.

A calibration always starts from the model's original one, even if the file has a local one.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np

from knee_attention.datasets.persons import Manifest, known_positions
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
from knee_attention.networks.files.location import refuse_replaced

LEAST_FILMS = 25
"""Fewer films cannot determine the five fitted numbers: four shifts and a temperature."""

LEAST_PERSONS = 3
"""Nested cross-validation over persons needs at least three."""

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


def local_predictions(
    grader: Grader,
    folder: Path,
    films: list[tuple[Path, int]],
    title: str,
    view: str = "auto",
    opened: Callable[[Path], object] = Path,
) -> Predictions:
    """Grade films with the original calibration of a model, with a progress bar.

    Films that cannot be graded are reported on standard error and left out, and so are films of two
    knees, whose folder names one grade. Persons are identified by manifest.csv, else by file names.

    Args:
        grader: the model's grader; its calibration is replaced by the original one.
        folder: the folder of the films.
        films: the result of `graded_films`.
        title: the title of the progress bar.
        view: one of `limits.VIEWS`.
        opened: from the path of a film to an image that `Grader.grade` takes.

    Raises:
        InputError: fewer than 25 graded films, a single grade, or fewer than three persons.
    """
    from tqdm import tqdm

    grader.calibration, grader.coverage = Calibration.recorded(original(grader.description)), None
    graded, found = [], grader.grade_all((opened(path) for path, _ in films), view)
    with tqdm(total=len(films), desc=title, unit="film", disable=None) as progress:
        for (path, grade), (_, knees) in zip(films, found, strict=True):
            progress.update()
            if not isinstance(knees, ImageError) and len(knees) > 1:
                knees = ImageError(path, "shows two knees, but its folder names one grade")
            if isinstance(knees, ImageError):
                progress.write(f"not graded: {path}: {knees.reason}", file=sys.stderr)
            else:
                graded.append((path, grade, knees[0]))
    return _as_predictions(folder, graded)


def _as_predictions(folder: Path, graded: list[tuple[Path, int, GradedKnee]]) -> Predictions:
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
    places = known_positions(description.get("training_persons") or "", subjects)
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
    refuse_replaced(source, grader.network.digest)
    origin = {"data": folder.resolve().name, "date": date.today().isoformat()}
    figures = {"before": rounded(fit.before), "after": rounded(fit.after)}
    entry = {**origin, **fit.entry, "cross_validated": figures}
    copy_with_description(source, path, {**original(grader.description), LOCAL: entry})
