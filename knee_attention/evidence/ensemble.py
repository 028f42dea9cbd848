"""Several outputs as one. Here by itself, because grading a film needs no scikit-learn."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from knee_attention.evidence.finite import refuse_not_finite
from knee_attention.kl import REGRESSION

T = TypeVar("T")


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
