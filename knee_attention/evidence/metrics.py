"""From probabilities to numbers, on top of scikit-learn."""

import numpy as np
from sklearn import metrics as sk

GRADES = np.arange(5)
OSTEOARTHRITIS = 2
"""Radiographic osteoarthritis is a Kellgren-Lawrence grade of 2 or more."""


def grade_metrics(grades: np.ndarray, probabilities: np.ndarray) -> dict:
    """How well probabilities predict grades.

    Args:
        grades: `(n,)` true grades 0-4.
        probabilities: `(n, 5)`, rows summing to one.

    Returns:
        accuracy, balanced accuracy (over the grades present), cross-entropy, Cohen's kappa
        (unweighted, linear, quadratic; None where it is undefined), mean absolute error in grades,
        accuracy and ROC AUC of radiographic osteoarthritis (KL >= 2; AUC None with a single
        class), and the 5x5 confusion matrix (rows: true grade).
    """
    predicted = probabilities.argmax(axis=1)
    has_oa = grades >= OSTEOARTHRITIS
    oa_probability = probabilities[:, OSTEOARTHRITIS:].sum(axis=1)
    confusion = sk.confusion_matrix(grades, predicted, labels=GRADES)
    recalls = [row[grade] / row.sum() for grade, row in enumerate(confusion) if row.sum()]
    return {
        "accuracy": float(sk.accuracy_score(grades, predicted)),
        "balanced_accuracy": float(np.mean(recalls)),
        "cross_entropy": cross_entropy(grades, probabilities),
        "kappa": _kappa(grades, predicted, None),
        "kappa_linear": _kappa(grades, predicted, "linear"),
        "kappa_quadratic": _kappa(grades, predicted, "quadratic"),
        "mean_absolute_error": float(np.abs(grades - predicted).mean()),
        "oa_accuracy": float(sk.accuracy_score(has_oa, predicted >= OSTEOARTHRITIS)),
        "oa_auc": float(sk.roc_auc_score(has_oa, oa_probability))
        if 0 < has_oa.sum() < len(has_oa)
        else None,
        "confusion": confusion.tolist(),
    }


def cross_entropy(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean categorical cross-entropy in nats; probabilities are kept from zero by 1e-7."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(grades)), grades], 1e-7)).mean())


def _kappa(grades, predicted, weights) -> float | None:
    if len(np.union1d(grades, predicted)) < 2:
        return None
    return float(sk.cohen_kappa_score(grades, predicted, labels=GRADES, weights=weights))


def ensemble(probabilities: list[np.ndarray]) -> np.ndarray:
    """Average the branches before the softmax (section 4, the authors' future work).

    Logarithms of probabilities are the pre-softmax values up to a constant a row, which the
    softmax takes out again.

    Args:
        probabilities: arrays `(n, 5)`, one a branch.

    Returns:
        `(n, 5)` probabilities.
    """
    scores = np.mean([np.log(np.maximum(p, 1e-12)) for p in probabilities], axis=0)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)
