"""A model's predictions on a split, as results."""

import numpy as np

from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.metrics import cross_entropy, grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import classifying
from knee_attention.kl import REGRESSION

OF_PROBABILITIES = ("cross_entropy", "oa_auc", "expected_calibration_error")
"""Metrics of the probabilities themselves, not of the most probable grade."""


def better_branch(predictions: Predictions) -> str:
    """The output with the lowest cross-entropy, which a regression has not; to be asked on the
    validation split.
    """
    return min(
        classifying(predictions.probabilities),
        key=lambda name: cross_entropy(predictions.grades, predictions.probabilities[name]),
    )


def split_results(predictions: Predictions) -> dict:
    """The metrics of every output and, where there are several, of their ensemble.

    Returns:
        `{output: metrics}`: those of `grade_metrics`, and their `intervals` under that name. Of a
        regression, which says no probabilities, those that measure these are None.
    """
    results = {
        name: metrics_with_intervals(predictions.grades, values, predictions.subjects)
        for name, values in predictions.with_ensemble().items()
    }
    if REGRESSION in results:
        unsaid = dict.fromkeys(OF_PROBABILITIES)
        results[REGRESSION] |= unsaid
        results[REGRESSION]["intervals"] |= unsaid
    return results


def metrics_with_intervals(
    grades: np.ndarray, probabilities: np.ndarray, subjects: list[str]
) -> dict:
    """`grade_metrics` with their 95% `intervals`."""
    return {
        **grade_metrics(grades, probabilities),
        "intervals": bootstrap_intervals(grades, probabilities, subjects),
    }


def one_of_each_grade(grades: np.ndarray) -> np.ndarray:
    """Positions of the first knee of each grade present, by grade."""
    return np.unique(grades, return_index=True)[1]
