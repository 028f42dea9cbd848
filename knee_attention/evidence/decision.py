"""From probabilities to a grade otherwise than by the most probable one.

Grade 1, doubtful osteoarthritis, is seldom the most probable grade even where it is right, so that
it is hardly ever said. A rule learns from graded knees what to say instead; what it reaches is
asked of persons that it has not learnt from.
"""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from knee_attention.kl import GRADES

Rule = Callable[[np.ndarray], np.ndarray]
"""From probabilities `(n, 5)` to grades `(n,)`."""

FOLDS = 10
STRENGTHS = np.linspace(0, 1, 11)
"""Powers of the grades' frequency that probabilities are divided by."""

CUTS = np.linspace(0.2, 3.8, 73)
"""Where the expected grade may be cut."""

ROUNDS = 3
"""How often each cut is moved while the others stay; a fourth moved none."""


def most_probable(grades: np.ndarray, probabilities: np.ndarray) -> Rule:
    """The paper's rule, which learns nothing."""
    return lambda values: values.argmax(axis=1)


def weighed_by_frequency(grades: np.ndarray, probabilities: np.ndarray) -> Rule:
    """The most probable grade after rare grades were made more probable: each probability divided
    by a power of its grade's frequency, the power of the highest balanced accuracy.
    """
    frequencies = np.bincount(grades, minlength=len(GRADES)) / len(grades)
    frequencies = np.maximum(frequencies, 1 / len(grades))

    def reached(strength: float) -> float:
        said = (probabilities / frequencies**strength).argmax(axis=1)
        return balanced_accuracy_score(grades, said)

    best = max(STRENGTHS, key=reached)
    return lambda values: (values / frequencies**best).argmax(axis=1)


def cut_expectation(grades: np.ndarray, probabilities: np.ndarray) -> Rule:
    """The expected grade, cut into grades where quadratic kappa is highest."""
    expected = probabilities @ np.array(GRADES)
    cuts = np.array(GRADES[:-1]) + 0.5

    def reached(tried: np.ndarray) -> float:
        return _quadratic_kappa(grades, np.digitize(expected, tried))

    for _ in range(ROUNDS):
        for place in range(len(cuts)):
            below, above = np.r_[0, cuts, 4][[place, place + 2]]
            candidates = [
                np.r_[cuts[:place], value, cuts[place + 1 :]]
                for value in CUTS[(below < CUTS) & (above > CUTS)]
            ]
            cuts = max([cuts, *candidates], key=reached)
    return lambda values: np.digitize(values @ np.array(GRADES), cuts)


def _quadratic_kappa(grades: np.ndarray, said: np.ndarray) -> float:
    """Cohen's quadratic kappa. scikit-learn's function is too slow for hundreds of cuts."""
    count = len(GRADES)
    confusion = np.bincount(count * grades + said, minlength=count**2).reshape(count, count)
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
    """What a rule says of each knee after it learnt from other persons' knees.

    Args:
        learn: makes the rule of grades and probabilities, one of `RULES`.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`.
        subjects: the person of each knee; there have to be as many as there are folds, 10.

    Returns:
        `(n,)` grades.
    """
    said = np.empty(len(grades), np.int64)
    for known, asked in GroupKFold(FOLDS).split(probabilities, grades, subjects):
        said[asked] = learn(grades[known], probabilities[known])(probabilities[asked])
    return said
