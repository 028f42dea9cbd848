"""From predictions on a split to the content of `results.json`."""

import numpy as np

from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.metrics import cross_entropy, grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import classifying
from knee_attention.kl import REGRESSION

OF_PROBABILITIES = ("cross_entropy", "oa_auc", "expected_calibration_error")
"""Metrics that a regression cannot have, because it has no probabilities."""


def better_branch(predictions: Predictions) -> str:
    """Name of the output with the lowest cross-entropy. Call it on the validation split.

    Regression outputs are never chosen: they have no cross-entropy.
    """
    return min(
        classifying(predictions.probabilities),
        key=lambda name: cross_entropy(predictions.grades, predictions.probabilities[name]),
    )


def split_results(predictions: Predictions) -> dict:
    """The metrics of every output and, if there are several, of their ensemble.

    Returns:
        `{output: metrics}`: the metrics of `grade_metrics`, with their 95% `intervals`. For a
        regression, metrics of probabilities are None.
    """
    results = {
        name: metrics_with_intervals(predictions.grades, values, predictions.subjects)
        for name, values in predictions.with_ensemble().items()
    }
    if REGRESSION in results:
        undefined = dict.fromkeys(OF_PROBABILITIES)
        results[REGRESSION] |= undefined
        results[REGRESSION]["intervals"] |= undefined
    return results


def metrics_with_intervals(
    grades: np.ndarray, probabilities: np.ndarray, subjects: list[str]
) -> dict:
    """The metrics of `grade_metrics` and their 95% `intervals`."""
    return {
        **grade_metrics(grades, probabilities),
        "intervals": bootstrap_intervals(grades, probabilities, subjects),
    }


def one_of_each_grade(grades: np.ndarray) -> np.ndarray:
    """Position of the first knee of each grade that occurs, in the order of the grades."""
    return np.unique(grades, return_index=True)[1]
