"""A regression's grade in the form of every other output."""

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.finite import refuse_not_finite
from knee_attention.kl import GRADES

ROUNDING = 1e-2
"""How far a row of probabilities may sum from one: float16 rounds each of the five."""


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
