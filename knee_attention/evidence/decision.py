"""Decision rules: from probabilities to a grade.

Grade 1 (doubtful osteoarthritis) is seldom the most probable grade, even for knees of grade 1, so
the paper's rule hardly ever gives it. `balanced` divides the probabilities by a power of the
frequencies of the training grades, which favours rare grades. `median` gives the grade at which
the cumulative probability reaches 0.5.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from knee_attention.errors import InputError
from knee_attention.limits import BALANCED, DECISIONS, GRADES, MEDIAN, PROBABLE

Rule = Callable[[np.ndarray], np.ndarray]
"""Function from probabilities `(n, 5)` to results `(n, ...)`, such as grades."""

Learn = Callable[[np.ndarray, np.ndarray, np.ndarray], Rule]
"""Function from grades, probabilities and subjects to the rule that is fitted to them."""

FOLDS = 10
POWERS = [step / 10 for step in range(11)]
"""Powers tried in `best_power`."""


def decide(
    probabilities: np.ndarray, rule: str, divisors: np.ndarray | None = None
) -> np.ndarray:
    """The grades by a rule.

    Args:
        probabilities: `(n, 5)`.
        rule: one of `DECISIONS`.
        divisors: for `balanced`, the result of `frequency_divisors`.

    Returns:
        `(n,)` int64.

    Raises:
        InputError: no such rule, or `balanced` without divisors.

    Example:

    >>> unsure = np.array([[0.4, 0.25, 0.2, 0.1, 0.05]])
    >>> decide(unsure, "probable").tolist(), decide(unsure, "median").tolist()
    ([0], [1])
    """
    if rule == PROBABLE:
        return probabilities.argmax(axis=1)
    if rule == MEDIAN:
        # The last sum may be rounded to less than one, but no grade follows it.
        return (probabilities.cumsum(axis=1)[:, :-1] < 0.5).sum(axis=1)
    if rule != BALANCED:
        raise InputError(f"expected one of the rules {', '.join(DECISIONS)}. Received: {rule!r}")
    if divisors is None:
        raise InputError("the model file does not record how frequent the grades were in training, "
                         "which the rule balanced needs; use probable or median")
    return (probabilities / divisors).argmax(axis=1)


def frequency_divisors(counts: Sequence[int], power: float) -> np.ndarray:
    """The divisors of the rule `balanced`.

    Args:
        counts: number of training knees of each grade; a missing grade counts as one knee.
        power: 0 changes nothing, 1 makes all grades equally frequent.

    Returns:
        `(5,)` float64 above 0.
    """
    frequencies = np.maximum(counts, 1) / np.sum(counts)
    return frequencies**power


def best_power(grades: np.ndarray, probabilities: np.ndarray, counts: Sequence[int]) -> float:
    """The power of the frequencies with the highest balanced accuracy. Call it on validation.

    Args:
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`.
        counts: number of training knees of each grade.
    """
    knees = np.bincount(grades, minlength=len(GRADES))[grades]

    def score(power: float) -> float:
        right = decide(probabilities, BALANCED, frequency_divisors(counts, power)) == grades
        return np.sum(right / knees)

    return max(POWERS, key=score)


def _always(rule: str) -> Learn:
    return lambda grades, probabilities, subjects: partial(decide, rule=rule)


def _balanced(grades: np.ndarray, probabilities: np.ndarray, subjects: np.ndarray) -> Rule:
    counts = np.bincount(grades, minlength=len(GRADES))
    divisors = frequency_divisors(counts, best_power(grades, probabilities, counts))
    return partial(decide, rule=BALANCED, divisors=divisors)


RULES: dict[str, Learn] = {
    "the most probable grade (the paper's)": _always(PROBABLE),
    "divided by a power of the grade's frequency": _balanced,
    "the median grade": _always(MEDIAN),
}
"""The rules for `cross_validated`, with the frequencies of the knees that a rule is fitted to."""


def cross_validated(
    learn: Learn,
    grades: np.ndarray,
    probabilities: np.ndarray,
    subjects: Sequence[str],
    folds: int = FOLDS,
) -> np.ndarray:
    """Cross-validated results: each person's by a fit to the other persons.

    Args:
        learn: fits to the grades, probabilities and subjects of the other persons.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`.
        subjects: the person of each knee; at least two different ones.
        folds: number of fits, at most the number of persons.

    Returns:
        the results of all knees, in their order.
    """
    from sklearn.model_selection import GroupKFold

    subjects = np.asarray(subjects)
    groups = GroupKFold(min(folds, len(np.unique(subjects))))
    places, found = [], []
    for fitted, held_out in groups.split(probabilities, grades, subjects):
        apply = learn(grades[fitted], probabilities[fitted], subjects[fitted])
        places.append(held_out)
        found.append(apply(probabilities[held_out]))
    return np.concatenate(found)[np.argsort(np.concatenate(places))]
