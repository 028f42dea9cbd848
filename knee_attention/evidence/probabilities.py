"""Probabilities of grades: the ensemble of outputs, temperature scaling, and regression outputs.

The module needs only NumPy, because grading works without scikit-learn.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from knee_attention.errors import InputError
from knee_attention.limits import GRADES, REGRESSION

T = TypeVar("T")

ROUNDING = 1e-2
"""Largest difference between a row's sum and one; float16 rounds each of the five values."""


def refuse_not_finite(values: np.ndarray, what: str) -> None:
    """Refuse arrays that contain NaN or infinity.

    Args:
        values: an array of any shape.
        what: name of one value in the message, such as `"a probability"`.

    Raises:
        InputError: a value is not finite.
    """
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise InputError(f"{what} is not a finite number ({np.asarray(values)[wrong][0]})")


def classifying(outputs: Mapping[str, T]) -> dict[str, T]:
    """The outputs that are probabilities: all except a regression."""
    return {name: values for name, values in outputs.items() if name != REGRESSION}


def ensemble(probabilities: list[np.ndarray]) -> np.ndarray:
    """Probabilities of an ensemble: outputs averaged before the softmax.

    The paper's section 4 names ensembles as future work.

    Args:
        probabilities: one array `(n, 5)` per output.

    Returns:
        `(n, 5)` probabilities.

    Raises:
        InputError: a probability is not finite.
    """
    return softmax(np.mean([before_softmax(values) for values in probabilities], axis=0))


def mean_of_passes(output: str, passes: list[np.ndarray]) -> np.ndarray:
    """Probabilities of an output, averaged over passes on the same knees and their mirror images.

    Args:
        output: name of the output. The grades of `regression` are averaged; the probabilities of
            the others are averaged as in `ensemble`.
        passes: the probabilities `(n, 5)` of each pass. A single pass is returned unchanged.
    """
    if len(passes) == 1:
        return passes[0]
    if output == REGRESSION:
        return as_probabilities((np.mean(passes, axis=0) @ np.array(GRADES))[:, np.newaxis])
    return ensemble(passes)


def before_softmax(probabilities: np.ndarray) -> np.ndarray:
    """Logits `(n, 5)`: the logarithms of the probabilities.

    They equal the network's logits up to a constant per row.

    Raises:
        InputError: a probability is not finite.
    """
    refuse_not_finite(probabilities, "a probability")
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax of logits `(n, 5)` over the last axis."""
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities after temperature scaling: the logits are divided by the temperature.

    Temperatures above 1 lower the confidence, those below 1 raise it. The most probable grade
    stays the same.

    Reference: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.

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


def as_probabilities(values: np.ndarray) -> np.ndarray:
    """Probabilities of the grades for an output that classifies or regresses.

    A regressed grade between two integers is interpolated between them: the most probable grade is
    the rounded value, and the expected grade is the value itself. Values outside 0-4 are clipped.
    These probabilities do not express confidence.

    Args:
        values: `(n, 5)` probabilities, returned unchanged, or `(n, 1)` grades.

    Returns:
        `(n, 5)` float64, rows summing to one.

    Raises:
        InputError: another shape, values that are not finite, or probabilities that are negative
            or do not sum to one.
    """
    if values.ndim != 2 or values.shape[1] not in (1, len(GRADES)):
        raise InputError("expected five probabilities or one grade per knee. Received: shape "
                         f"{values.shape}")
    values = values.astype(np.float64)
    refuse_not_finite(values, "an output of the model")
    if values.shape[1] == len(GRADES):
        if (values < 0).any() or (abs(values.sum(axis=1) - 1) > ROUNDING).any():
            raise InputError("an output of the model does not return probabilities: its values are "
                             "negative or do not sum to one")
        return values
    grades = np.clip(values, GRADES[0], GRADES[-1])
    return np.maximum(0, 1 - abs(grades - np.array(GRADES)))
