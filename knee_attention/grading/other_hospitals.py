"""Measure a model on films of another hospital, without and with local calibration."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from knee_attention.evidence.calibration import fit_cut_points, shift_cut_points
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.films.inputs import open_film
from knee_attention.films.preparation import CROPS_IN_WORDS
from knee_attention.grading.grader import Grader
from knee_attention.grading.local_calibration import local_predictions
from knee_attention.limits import GRADES

METRICS = {"accuracy": "accuracy", "quadratic kappa": "kappa_quadratic", "OA AUC": "oa_auc"}
"""Columns of the table and their metrics in `grade_metrics`."""

SPLITS = 20
"""Random halves of the persons, whose figures are averaged."""

LOCAL_FILMS = (25, 50, 100)
"""Numbers of graded films of one half that a calibration is fitted to."""

Row = dict[str, str]


def other_hospital(
    grader: Grader, title: str, folder: Path, films: list[tuple[Path, int]]
) -> Iterator[Row]:
    """The rows of the table "other hospitals" for films of one knee each.

    Films are graded through the normal path, which finds the joint and cuts it out, and as if they
    were crops: the whole image, and its largest centre square. Local calibrations are fitted to
    films of one half of the persons and measured on the other half.

    Args:
        grader: the model's grader; its calibration is replaced by the original one.
        title: the films' name in the table.
        folder: the folder of the films.
        films: the result of `graded_films`.

    Yields:
        rows with the columns films, graded, and those of `METRICS`.

    Raises:
        InputError: fewer than 25 films are graded, or all are of one grade or person.
    """
    normal = local_predictions(grader, folder, films, "normal path")
    yield _row(grader, f"{title}, normal path", normal, len(films))
    whole = local_predictions(grader, folder, films, "whole images", "crop")
    yield _row(grader, f"{title}, whole images", whole, len(films))
    files = set(whole.files)
    readable = [(path, grade) for path, grade in films
                if path.relative_to(folder).as_posix() in files]
    squares = local_predictions(
        grader, folder, readable, "centre squares", "crop", centre_square
    )
    yield _row(grader, f"{title}, centre squares", squares, len(films))
    for count, values in local_figures(grader, normal).items():
        number = f"{count} local films" if count else "no local film"
        yield {"films": f"half of {title.lower()}, {number}", "graded": "", **cells(values)}


def own_validation(grader: Grader) -> list[Row]:
    """The row of the model's own validation knees; none if its file has no figures of them."""
    description, found = grader.description, grader.validation
    if not found:
        return []
    results = description["results"]
    data = (description.get("experiment") or {}).get("data")
    name = Path(data).name if data else "own"
    shown = CROPS_IN_WORDS[grader.preparation.known_crop or "half"]
    return [{"films": f"{name} {results['split']}, {shown}",
             "graded": f"{results['knees']} of {results['knees']}",
             **cells({column: found.get(metric) for column, metric in METRICS.items()})}]


def centre_square(path: Path) -> np.ndarray:
    """The largest square in the middle of a film, `(side, side)`."""
    film = open_film(path).pixels
    side = min(film.shape[:2])
    top, left = ((length - side) // 2 for length in film.shape[:2])
    return film[top : top + side, left : left + side]


def local_figures(grader: Grader, known: Predictions) -> dict[int, dict[str, float]]:
    """Means over `SPLITS` of the metrics by number of local films; 0 is the original calibration.

    A number of films that a half does not hold is left out.
    """
    from sklearn.model_selection import GroupShuffleSplit

    halves = GroupShuffleSplit(SPLITS, test_size=0.5, random_state=0)
    generator = np.random.default_rng(0)
    values = known.probabilities[grader.chosen]
    found: dict[int, list[dict]] = {0: [], **{count: [] for count in LOCAL_FILMS}}
    for local, others in halves.split(values, known.grades, known.subjects):
        local = generator.permutation(local)
        found[0].append(_figures(grader, known.grades[others], values[others]))
        for count in LOCAL_FILMS:
            if count <= len(local):
                fitted = fit_cut_points(known.grades[local[:count]], values[local[:count]])
                shifted = shift_cut_points(values[others], **fitted)
                found[count].append(_figures(grader, known.grades[others], shifted))
    return {
        count: {column: float(np.mean([one[column] for one in each])) for column in METRICS}
        for count, each in found.items() if len(each) == SPLITS
    }  # fmt: skip


def _row(grader: Grader, films: str, known: Predictions, count: int) -> Row:
    found = _figures(grader, known.grades, known.probabilities[grader.chosen])
    return {"films": films, "graded": f"{len(known)} of {count}", **cells(found)}


def _figures(grader: Grader, grades: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The metrics of `METRICS`, NaN if undefined; the decision rule gives accuracy and kappa."""
    decided = np.eye(len(GRADES))[grader.calibration.grades(probabilities, grader.decide)]
    of_rule, of_values = (grade_metrics(grades, values) for values in (decided, probabilities))
    found = {column: (of_values if metric == "oa_auc" else of_rule)[metric]
             for column, metric in METRICS.items()}
    return {column: np.nan if value is None else value for column, value in found.items()}


def cells(values: Mapping[str, float | None]) -> Row:
    """The cells of figures; those that are undefined (NaN or None) are blank."""
    return {column: "" if value is None or np.isnan(value) else f"{value:.3f}"
            for column, value in values.items()}
