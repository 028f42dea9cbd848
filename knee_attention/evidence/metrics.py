"""Metrics of predicted probabilities, with scikit-learn."""

import numpy as np
from sklearn import metrics as sk

from knee_attention.evidence.probabilities import refuse_not_finite
from knee_attention.limits import GRADES, OSTEOARTHRITIS

LEAST_PROBABILITY = 1e-7
"""Lower bound of the probabilities in the cross-entropy, as in Keras."""

CALIBRATION_BINS = 10

SCALARS = (
    "accuracy", "balanced_accuracy", "cross_entropy", "kappa", "kappa_linear", "kappa_quadratic",
    "mean_absolute_error", "oa_accuracy", "oa_auc", "expected_calibration_error",
)  # fmt: skip
"""The metrics that are a single number."""


def grade_metrics(grades: np.ndarray, probabilities: np.ndarray) -> dict:
    """Metrics of predicted probabilities against true grades.

    Args:
        grades: `(n,)` true grades 0-4.
        probabilities: `(n, 5)`, rows summing to one.

    Returns:
        accuracy, balanced accuracy (over the grades that occur), cross-entropy, Cohen's kappa
        (unweighted, linear, quadratic; None if undefined), mean absolute error in grades,
        accuracy and ROC AUC of radiographic osteoarthritis (KL >= 2; AUC None with a single
        class), expected calibration error, the 5x5 `confusion` matrix (rows: true grade), and
        `per_grade`: five dicts of precision, recall, F1 (None if undefined) and number of knees.

    Raises:
        InputError: a probability is not finite.

    Example:

    >>> grades = np.array([0, 1, 2, 3])
    >>> probabilities = np.eye(5)[[0, 1, 2, 4]]  # the last knee is graded 4
    >>> metrics = grade_metrics(grades, probabilities)
    >>> metrics["accuracy"], round(metrics["kappa_quadratic"], 2)
    (0.75, 0.93)
    """
    refuse_not_finite(probabilities, "a probability")
    predicted = probabilities.argmax(axis=1)
    has_oa = grades >= OSTEOARTHRITIS
    oa_probability = probabilities[:, OSTEOARTHRITIS:].sum(axis=1)
    present = np.unique(grades)
    return {
        "accuracy": float(sk.accuracy_score(grades, predicted)),
        "balanced_accuracy": float(
            sk.recall_score(grades, predicted, labels=present, average="macro")
        ),
        "cross_entropy": cross_entropy(grades, probabilities),
        "kappa": _kappa(grades, predicted, None),
        "kappa_linear": _kappa(grades, predicted, "linear"),
        "kappa_quadratic": _kappa(grades, predicted, "quadratic"),
        "mean_absolute_error": float(sk.mean_absolute_error(grades, predicted)),
        "oa_accuracy": float(sk.accuracy_score(has_oa, predicted >= OSTEOARTHRITIS)),
        "oa_auc": float(sk.roc_auc_score(has_oa, oa_probability))
        if 0 < has_oa.sum() < len(has_oa)
        else None,
        "expected_calibration_error": expected_calibration_error(grades, probabilities),
        "confusion": sk.confusion_matrix(grades, predicted, labels=GRADES).tolist(),
        "per_grade": _per_grade(grades, predicted),
    }


def losses(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Categorical cross-entropy of each knee in nats, `(n,)`.

    Raises:
        InputError: a probability is not finite.
    """
    refuse_not_finite(probabilities, "a probability")
    return -np.log(np.maximum(probabilities[np.arange(len(grades)), grades], LEAST_PROBABILITY))


def cross_entropy(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean categorical cross-entropy in nats."""
    return float(losses(grades, probabilities).mean())


def expected_calibration_error(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean difference between confidence and accuracy over ten bins.

    The bins divide the highest probability of a knee into equal widths. A bin's difference is that
    between its accuracy and its mean highest probability, weighted by its share of the knees. Zero
    is perfect; noise in small samples increases it.

    Reference: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Raises:
        InputError: a probability is not finite.
    """
    refuse_not_finite(probabilities, "a probability")
    highest = probabilities.max(axis=1)
    bins = np.minimum((highest * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    sums = np.bincount(bins, (probabilities.argmax(axis=1) == grades) - highest)
    return float(np.abs(sums).sum() / len(grades))


def _kappa(grades, predicted, weights) -> float | None:
    if len(np.union1d(grades, predicted)) < 2:
        return None
    return float(sk.cohen_kappa_score(grades, predicted, labels=GRADES, weights=weights))


def _per_grade(grades, predicted) -> list[dict]:
    columns = sk.precision_recall_fscore_support(
        grades, predicted, labels=GRADES, zero_division=np.nan
    )
    return [
        {
            "precision": _number(precision),
            "recall": _number(recall),
            "f1": _number(f1),
            "knees": int(knees),
        }
        for precision, recall, f1, knees in zip(*columns, strict=True)
    ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
