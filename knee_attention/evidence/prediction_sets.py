"""Prediction sets: the range of grades that holds the true grade of a knee with a stated coverage.

Split conformal prediction with the score of least ambiguous sets (Sadinle, Lei and Wasserman,
"Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", JASA 114, 2019). Grades are
ordered, so a set must have no gap. It has none if the probabilities fall on both sides of the most
probable grade (Dey, Merugu and Kaveri, "Conformal Prediction Sets for Ordinal Classification",
NeurIPS 2023). Here a grade has the least probability between it and the most probable one.

The two knees of a person are alike, so persons are exchangeable and knees are not. Each person has
the same weight (Lee, Barber and Willett, "Distribution-free inference with hierarchical data",
arXiv 2306.06342, 2023).

Guarantee: for new persons, at least the asked share of sets hold the true grade, on average
over all grades. It holds for films like those of the calibration. It says nothing about films of
another hospital, nor about the knees of one grade.
"""

from collections.abc import Sequence

import numpy as np

from knee_attention.limits import COVERAGE_STEPS, GRADES

WIDE = 3
"""A set of this many grades or more says too little: the film needs a second look."""


def nonconformity(probabilities: np.ndarray) -> np.ndarray:
    """One minus the least probability between each grade and the most probable one, inclusive.

    Args:
        probabilities: `(n, 5)`.

    Returns:
        `(n, 5)` in 0-1; in each row it rises on both sides of the most probable grade.

    Example:

    >>> nonconformity(np.array([[0.05, 0.5, 0.1, 0.3, 0.05]])).round(2).tolist()
    [[0.95, 0.5, 0.9, 0.9, 0.95]]
    """
    grades = np.array(GRADES)
    most = probabilities.argmax(axis=1)[:, np.newaxis]
    below = np.where(grades <= most, probabilities, np.inf)
    above = np.where(grades >= most, probabilities, np.inf)
    least_below = np.minimum.accumulate(below[:, ::-1], axis=1)[:, ::-1]
    least_above = np.minimum.accumulate(above, axis=1)
    return 1 - np.where(grades <= most, least_below, least_above)


def thresholds(
    grades: np.ndarray, probabilities: np.ndarray, subjects: Sequence[str]
) -> list[float | None]:
    """The largest nonconformity that a set may hold, for each coverage from 1% to 99%.

    Args:
        grades: `(n,)` true grades of the calibration knees.
        probabilities: `(n, 5)`. The knees must not have served to fit the network.
        subjects: the person of each knee.

    Returns:
        99 ascending numbers, rounded up to five digits. None where the persons are too few for the
        coverage, so that only the set of all grades has it.
    """
    scores = nonconformity(probabilities)[np.arange(len(grades)), grades]
    _, person, knees = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    # The person of the new knee counts as one more, whose score is infinite.
    reached = np.cumsum(1 / knees[person][order]) / (len(knees) + 1)
    places = np.searchsorted(reached, np.arange(1, COVERAGE_STEPS) / COVERAGE_STEPS - 1e-9)
    rounded = np.ceil(scores[order] * 1e5) / 1e5
    return [float(rounded[place]) if place < len(scores) else None for place in places]


def prediction_sets(
    probabilities: np.ndarray, limits: Sequence[float | None], coverage: float
) -> np.ndarray:
    """The lowest and the highest grade of each knee's set.

    Args:
        probabilities: `(n, 5)`.
        limits: the result of `thresholds`.
        coverage: the asked share of knees whose set holds the true grade, from 0.01 to 0.99.

    Returns:
        `(n, 2)` int64. The most probable grade is always in the set.
    """
    threshold = limits[round(coverage * COVERAGE_STEPS) - 1]
    scores = nonconformity(probabilities)
    held = scores <= (np.inf if threshold is None else threshold)
    held |= scores == scores.min(axis=1, keepdims=True)
    lowest, highest = held.argmax(axis=1), len(GRADES) - 1 - held[:, ::-1].argmax(axis=1)
    return np.stack([lowest, highest], axis=1)


def range_in_words(lowest: int, highest: int) -> str:
    """A set as text: `1-2`, or `1` for one grade."""
    return f"{lowest}" if lowest == highest else f"{lowest}-{highest}"


def set_figures(grades: np.ndarray, shown: np.ndarray, sets: np.ndarray) -> dict:
    """Coverage and size of prediction sets, on knees with known grades.

    Args:
        grades: `(n,)` true grades.
        shown: `(n,)` grades that are shown beside the sets.
        sets: `(n, 2)`, the result of `prediction_sets`.

    Returns:
        The share of sets that hold the true grade (`coverage`), the same for the knees of each
        shown and of each true grade (`by_shown`, `by_true`: five values, None without a knee), the
        mean number of grades (`size`), and the share of sets of three grades or more (`wide`).
    """
    held = (sets[:, 0] <= grades) & (grades <= sets[:, 1])
    sizes = sets[:, 1] - sets[:, 0] + 1

    def by(which: np.ndarray) -> list[float | None]:
        return [float(held[which == k].mean()) if (which == k).any() else None for k in GRADES]

    return {
        "coverage": float(held.mean()),
        "by_shown": by(shown),
        "by_true": by(grades),
        "size": float(sizes.mean()),
        "wide": float((sizes >= WIDE).mean()),
    }
