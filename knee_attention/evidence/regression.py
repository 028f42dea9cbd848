"""A regression's grade in the form of every other output."""

import numpy as np

from knee_attention.kl import GRADES


def as_probabilities(values: np.ndarray) -> np.ndarray:
    """An output's values as probabilities of the grades.

    A grade between two whole ones is shared between these two, so that the most probable grade is
    the rounded one and the expected grade the value itself; outside of 0 to 4 it is the nearest of
    them. Such probabilities say nothing about certainty.

    Args:
        values: `(n, 5)` probabilities, which stay as they are, or `(n, 1)` grades.

    Returns:
        `(n, 5)` float64, rows summing to one.
    """
    values = values.astype(np.float64)
    if values.shape[1] == len(GRADES):
        return values
    grades = np.clip(values, GRADES[0], GRADES[-1])
    return np.maximum(0, 1 - abs(grades - np.array(GRADES)))
