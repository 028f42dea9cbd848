"""Several outputs as one. Here by itself, because grading a film needs no scikit-learn."""

from collections.abc import Mapping

import numpy as np

from knee_attention.kl import REGRESSION


def classifying(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs that are probabilities: all but a regression."""
    return {name: values for name, values in outputs.items() if name != REGRESSION}


def ensemble(probabilities: list[np.ndarray]) -> np.ndarray:
    """Average outputs before the softmax (section 4, the authors' future work).

    Logarithms of probabilities are the pre-softmax values up to a constant a row, which the
    softmax takes out again.

    Args:
        probabilities: arrays `(n, 5)`, one an output.

    Returns:
        `(n, 5)` probabilities.
    """
    scores = np.mean([np.log(np.maximum(p, 1e-12)) for p in probabilities], axis=0)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)
