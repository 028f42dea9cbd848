"""Cut points of local readers: shift a model's grades to those of the readers of other films.

Readers draw the border between two grades at different places, and another hospital's films move
the network's values. Both shift the log-odds of "at least grade k" (McCullagh, "Regression Models
for Ordinal Data", JRSS B 42, 1980): for k = 1 to 4, `(log-odds - shift) / temperature`.

Few films cannot say much about five numbers. So the fit is the most probable one under normal
priors that keep the shifts near zero and near each other, and the temperature near one.
"""

from collections.abc import Sequence

import numpy as np

from knee_attention.evidence.finite import refuse_not_finite
from knee_attention.kl import GRADES

LEAST_PROBABILITY = 1e-7
"""Probabilities below are raised to it, so that their log-odds are finite."""

SHIFT_DEVIATION, SPREAD_DEVIATION, TEMPERATURE_DEVIATION = 1.0, 1.0, 0.5
"""Standard deviations of the priors: of the mean shift, of the shifts around their mean, and of the
logarithm of the temperature."""


def moved(
    probabilities: np.ndarray, shifts: Sequence[float], temperature: float
) -> np.ndarray:
    """Probabilities whose cut points are shifted.

    Args:
        probabilities: `(n, 5)`, rows summing to one.
        shifts: four numbers; a positive one makes the grades above its cut less probable.
        temperature: above 0; above 1 it lowers the confidence.

    Returns:
        `(n, 5)` float64, rows summing to one.

    Raises:
        InputError: a probability is not finite.

    Example:

    >>> moved(np.array([[0.1, 0.2, 0.4, 0.2, 0.1]]), [1, 1, 1, 1], 1).round(2).tolist()
    [[0.23, 0.31, 0.33, 0.1, 0.04]]
    """
    refuse_not_finite(probabilities, "a probability")
    values = np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)
    reached = values[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    missed = values.cumsum(axis=1)[:, :-1]
    log_odds = (np.log(reached / missed) - np.asarray(shifts)) / temperature
    # A cut may not pass the next one: no grade has a negative probability.
    at_least = 1 / (1 + np.exp(-np.minimum.accumulate(log_odds, axis=1)))
    ends = np.ones((len(values), 1)), np.zeros((len(values), 1))
    at_least = np.hstack([ends[0], at_least, ends[1]])
    found = np.maximum(at_least[:, :-1] - at_least[:, 1:], LEAST_PROBABILITY)
    return found / found.sum(axis=1, keepdims=True)


def fit_cut_points(grades: np.ndarray, probabilities: np.ndarray) -> dict:
    """Shifts and temperature that fit the grades best, under the priors.

    Args:
        grades: `(n,)` grades by the local readers.
        probabilities: `(n, 5)` of the model for the same films.

    Returns:
        the arguments `shifts` and `temperature` of `moved`, rounded to four digits.
    """
    from scipy.optimize import minimize

    from knee_attention.evidence.metrics import losses

    def surprise(numbers: np.ndarray) -> float:
        shifts, logarithm = numbers[:-1], numbers[-1]
        data = losses(grades, moved(probabilities, shifts, np.exp(logarithm))).sum()
        deviations = [
            shifts.mean() / SHIFT_DEVIATION,
            *(shifts - shifts.mean()) / SPREAD_DEVIATION,
            logarithm / TEMPERATURE_DEVIATION,
        ]
        return data + np.square(deviations).sum() / 2

    *shifts, logarithm = minimize(surprise, np.zeros(len(GRADES)), method="Powell").x
    return {"shifts": [round(float(shift), 4) for shift in shifts],
            "temperature": round(float(np.exp(logarithm)), 4)}  # fmt: skip
