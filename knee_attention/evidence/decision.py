"""Decision rules: from probabilities to a predicted grade.

Grade 1 (doubtful osteoarthritis) is seldom the most probable grade, even for knees of grade 1, so
argmax hardly ever predicts it. The other rules are fitted to graded knees and evaluated by
cross-validation over persons.
"""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from knee_attention.kl import GRADES

Rule = Callable[[np.ndarray], np.ndarray]
"""Function from probabilities `(n, 5)` to predicted grades `(n,)`."""

FOLDS = 10
STRENGTHS = np.linspace(0, 1, 11)
"""Exponents tried in `weighed_by_frequency`."""

CUTS = np.linspace(0.2, 3.8, 73)
"""Thresholds tried in `cut_expectation`."""

ROUNDS = 3
"""Rounds of coordinate search in `cut_expectation`; a fourth round changed no threshold."""


def most_probable(grades: np.ndarray, probabilities: np.ndarray) -> Rule:
    """The most probable grade, the paper's rule. It has nothing to fit."""
    return lambda values: values.argmax(axis=1)


def weighed_by_frequency(grades: np.ndarray, probabilities: np.ndarray) -> Rule:
    """The argmax of the probabilities, each divided by a power of its grade's frequency.

    This favours rare grades. The exponent is the one with the highest balanced accuracy.
    """
    frequencies = np.bincount(grades, minlength=len(GRADES)) / len(grades)
    frequencies = np.maximum(frequencies, 1 / len(grades))

    def score(strength: float) -> float:
        predicted = (probabilities / frequencies**strength).argmax(axis=1)
        return balanced_accuracy_score(grades, predicted)

    best = max(STRENGTHS, key=score)
    return lambda values: (values / frequencies**best).argmax(axis=1)


def cut_expectation(grades: np.ndarray, probabilities: np.ndarray) -> Rule:
    """The expected grade, divided into grades by the thresholds with the highest quadratic kappa.
    """
    expected = probabilities @ np.array(GRADES)
    cuts = np.array(GRADES[:-1]) + 0.5

    def score(tried: np.ndarray) -> float:
        return _quadratic_kappa(grades, np.digitize(expected, tried))

    for _ in range(ROUNDS):
        for place in range(len(cuts)):
            below, above = np.r_[0, cuts, 4][[place, place + 2]]
            candidates = [
                np.r_[cuts[:place], value, cuts[place + 1 :]]
                for value in CUTS[(below < CUTS) & (above > CUTS)]
            ]
            cuts = max([cuts, *candidates], key=score)
    return lambda values: np.digitize(values @ np.array(GRADES), cuts)


def _quadratic_kappa(grades: np.ndarray, predicted: np.ndarray) -> float:
    """Cohen's quadratic kappa. scikit-learn's function is too slow for hundreds of cuts."""
    count = len(GRADES)
    confusion = np.bincount(count * grades + predicted, minlength=count**2).reshape(count, count)
    by_chance = np.outer(confusion.sum(axis=0), confusion.sum(axis=1)) / len(grades)
    distances = np.subtract.outer(GRADES, GRADES) ** 2
    return 1 - np.sum(distances * confusion) / np.sum(distances * by_chance)


RULES = {
    "the most probable grade (the paper's)": most_probable,
    "weighed by the grades' frequency": weighed_by_frequency,
    "cuts on the expected grade": cut_expectation,
}


def said_of_others(
    learn: Callable[[np.ndarray, np.ndarray], Rule],
    grades: np.ndarray,
    probabilities: np.ndarray,
    subjects: list[str],
) -> np.ndarray:
    """Predicted grades of a rule, cross-validated over persons in 10 folds.

    Args:
        learn: fits a rule to grades and probabilities; a value of `RULES`.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`.
        subjects: the person of each knee; at least 10 different ones.

    Returns:
        `(n,)` predicted grades.
    """
    predicted = np.empty(len(grades), np.int64)
    for fitted, held_out in GroupKFold(FOLDS).split(probabilities, grades, subjects):
        rule = learn(grades[fitted], probabilities[fitted])
        predicted[held_out] = rule(probabilities[held_out])
    return predicted
