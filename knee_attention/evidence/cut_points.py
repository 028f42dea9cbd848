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

LARGEST_LOGARITHM = 2.0
"""Largest logarithm of the temperature, and of one over it."""

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
    return _shifted(_log_odds(probabilities), np.asarray(shifts), temperature)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The log-odds `(n, 4)` of at least grade 1, 2, 3 and 4."""
    values = np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)
    reached = values[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    return np.log(reached / values.cumsum(axis=1)[:, :-1])


def _shifted(log_odds: np.ndarray, shifts: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities `(n, 5)` by shifted log-odds."""
    # A cut may not pass the next one: no grade has a negative probability.
    log_odds = np.minimum.accumulate((log_odds - shifts) / temperature, axis=1)
    at_least = np.ones((len(log_odds), len(GRADES) + 1))
    at_least[:, 1:-1] = 1 / (1 + np.exp(-log_odds))
    at_least[:, -1] = 0
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

    refuse_not_finite(probabilities, "a probability")
    log_odds, films = _log_odds(probabilities), np.arange(len(grades))

    def surprise(numbers: np.ndarray) -> float:
        shifts, logarithm = numbers[:-1], numbers[-1]
        found = _shifted(log_odds, shifts, _temperature(logarithm))
        data = -np.log(found[films, grades]).sum()
        deviations = [
            shifts.mean() / SHIFT_DEVIATION,
            *(shifts - shifts.mean()) / SPREAD_DEVIATION,
            logarithm / TEMPERATURE_DEVIATION,
        ]
        return data + np.square(deviations).sum() / 2

    # BFGS, because L-BFGS-B waits for threads of BLAS and takes four times as long.
    *shifts, logarithm = minimize(surprise, np.zeros(len(GRADES)), method="BFGS").x
    return {"shifts": [round(float(shift), 4) for shift in shifts],
            "temperature": round(_temperature(logarithm), 4)}  # fmt: skip


def _temperature(logarithm: float) -> float:
    return float(np.exp(np.clip(logarithm, -LARGEST_LOGARITHM, LARGEST_LOGARITHM)))
