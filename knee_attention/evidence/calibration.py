"""Probabilities that mean what they say: one temperature for all knees.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
"""

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.ensemble import before_softmax, softmax
from knee_attention.evidence.finite import refuse_not_finite

LEAST, MOST = 0.1, 10.0
"""Between these the temperature is looked for."""


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose values before the softmax are divided by a temperature.

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
        bounds=(np.log(LEAST), np.log(MOST)),
        method="bounded",
    )
    return float(np.exp(found.x))
