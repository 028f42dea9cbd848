"""Probabilities of grades: averaged over outputs, calibrated by a temperature, or made of a grade.

Needs NumPy alone, because grading a film needs no scikit-learn.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.finite import refuse_not_finite
from knee_attention.kl import GRADES, REGRESSION

T = TypeVar("T")

LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.1, 10.0
"""`best_temperature` searches between these."""

ROUNDING = 1e-2
"""How far a row of probabilities may sum from one: float16 rounds each of the five."""


def classifying(outputs: Mapping[str, T]) -> dict[str, T]:
    """The outputs that are probabilities: all but a regression."""
    return {name: values for name, values in outputs.items() if name != REGRESSION}


def ensemble(probabilities: list[np.ndarray]) -> np.ndarray:
    """Average outputs before the softmax (section 4, the authors' future work).

    Args:
        probabilities: arrays `(n, 5)`, one an output.

    Returns:
        `(n, 5)` probabilities.

    Raises:
        InputError: a probability is not finite.
    """
    return softmax(np.mean([before_softmax(values) for values in probabilities], axis=0))


def before_softmax(probabilities: np.ndarray) -> np.ndarray:
    """Values `(n, 5)` of which `softmax` makes these probabilities: their logarithms, which are the
    network's own up to a constant a row.

    Raises:
        InputError: a probability is not finite.
    """
    refuse_not_finite(probabilities, "a probability")
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities `(n, 5)` of such values."""
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose values before the softmax are divided by a temperature (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, section 4.2).

    Above 1 they become less certain, below 1 more; the most probable grade stays the same.

    Args:
        probabilities: `(n, 5)`, rows summing to one.
        temperature: above 0.

    Returns:
        `(n, 5)` float64, rows summing to one.

    Raises:
        InputError: the temperature is not a number above 0, or a probability is not finite.
    """
    if not 0 < temperature < np.inf:
        raise InputError(f"expected a temperature above 0. Received: {temperature}")
    scores = before_softmax(probabilities) / temperature
    refuse_not_finite(scores, f"a probability of temperature {temperature}")
    return softmax(scores)


def best_temperature(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature of the lowest cross-entropy; to be asked on the validation split.

    Args:
        grades: `(n,)` true grades 0-4.
        probabilities: `(n, 5)`, rows summing to one.
    """
    from scipy.optimize import minimize_scalar

    from knee_attention.evidence.metrics import cross_entropy

    found = minimize_scalar(
        lambda logarithm: cross_entropy(grades, tempered(probabilities, np.exp(logarithm))),
        bounds=(np.log(LEAST_TEMPERATURE), np.log(LARGEST_TEMPERATURE)),
        method="bounded",
    )
    return float(np.exp(found.x))


def as_probabilities(values: np.ndarray) -> np.ndarray:
    """An output's values as probabilities of the grades.

    A grade between two whole ones is shared between these two, so that the most probable grade is
    the rounded one and the expected grade the value itself; outside of 0 to 4 it is the nearest of
    them. Such probabilities say nothing about certainty.

    Args:
        values: `(n, 5)` probabilities, which stay as they are, or `(n, 1)` grades.

    Returns:
        `(n, 5)` float64, rows summing to one.

    Raises:
        InputError: values of another shape, values that are not finite, or probabilities that do
            not sum to one.
    """
    if values.ndim != 2 or values.shape[1] not in (1, len(GRADES)):
        raise InputError("expected five probabilities or one grade a knee. Received: values of "
                         f"shape {values.shape}")
    values = values.astype(np.float64)
    refuse_not_finite(values, "an output of the model")
    if values.shape[1] == len(GRADES):
        if (values < 0).any() or (abs(values.sum(axis=1) - 1) > ROUNDING).any():
            raise InputError("an output of the model gives no probabilities: they do not sum to "
                             "one, or are negative")
        return values
    grades = np.clip(values, GRADES[0], GRADES[-1])
    return np.maximum(0, 1 - abs(grades - np.array(GRADES)))
