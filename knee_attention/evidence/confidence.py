"""Fit decision rules and prediction sets to validation predictions, and measure them.

The figures come from ten-fold cross-validation over persons: temperature, power and thresholds are
fitted to nine tenths of them and measured on the others.
"""

from collections.abc import Sequence

import numpy as np

from knee_attention.evidence.calibration import COVERAGE, best_temperature
from knee_attention.evidence.decision import (
    best_power,
    cross_validated,
    decide,
    frequency_divisors,
)
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.prediction_sets import (
    WIDE,
    prediction_sets,
    set_figures,
    thresholds,
)
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import tempered
from knee_attention.limits import DECISIONS, GRADES, PROBABLE

RULE_FIGURES = ("accuracy", "balanced_accuracy", "kappa_quadratic")
"""The metrics that are recorded for each rule."""

DEFERRED = 0.2
"""Share of the knees that are left to a reader in `deferred`, the least certain ones."""


def confidence(
    known: Predictions, output: str, temperature: float, grade_counts: Sequence[int]
) -> dict:
    """The entries `decision` and `prediction_sets` of a model's description.

    Args:
        known: predictions on the validation split, without temperatures.
        output: the output that grades.
        temperature: its temperature.
        grade_counts: number of training knees of each grade.

    Returns:
        the entries, see `evidence.calibration`, with cross-validated `validation` figures.
    """
    values, subjects = known.of(output), np.array(known.subjects)

    def learn(grades: np.ndarray, probabilities: np.ndarray, persons: np.ndarray):
        fitted = best_temperature(grades, probabilities)
        warm = tempered(probabilities, fitted)
        divisors = frequency_divisors(grade_counts, best_power(grades, warm, grade_counts))
        limits = thresholds(grades, warm, persons)

        def apply(others: np.ndarray) -> np.ndarray:
            others = tempered(others, fitted)
            decided = [decide(others, rule, divisors) for rule in DECISIONS]
            sets = prediction_sets(others, limits, COVERAGE)
            return np.column_stack([*decided, sets, others.max(axis=1)])

        return apply

    found = cross_validated(learn, known.grades, values, subjects)
    decided = dict(zip(DECISIONS, found[:, : len(DECISIONS)].T.astype(int), strict=True))
    sets, highest = found[:, len(DECISIONS) : -1].astype(int), found[:, -1]
    shown = decided[PROBABLE]
    warm = tempered(values, temperature)
    return {
        "decision": {
            "default": PROBABLE,
            "grade_counts": [int(count) for count in grade_counts],
            "power": best_power(known.grades, warm, grade_counts),
            "validation": {
                rule: rule_figures(known.grades, grades) for rule, grades in decided.items()
            },
        },
        "prediction_sets": {
            "thresholds": thresholds(known.grades, warm, subjects),
            "knees": len(known),
            "subjects": len(set(known.subjects)),
            "validation": rounded(set_figures(known.grades, shown, sets))
            | {"deferred": _deferred(known.grades, shown, sets, highest)},
        },
    }


def rule_figures(grades: np.ndarray, predicted: np.ndarray) -> dict[str, float | None]:
    """Accuracy, balanced accuracy and quadratic kappa of predicted grades, with four digits."""
    metrics = grade_metrics(grades, np.eye(len(GRADES))[predicted])
    return rounded({name: metrics[name] for name in RULE_FIGURES})


def rounded(figures: dict) -> dict:
    """Figures with four digits; lists are rounded number by number."""

    def short(value):
        if isinstance(value, list):
            return [short(one) for one in value]
        return None if value is None else round(value, 4)

    return {name: short(value) for name, value in figures.items()}


def _deferred(
    grades: np.ndarray, shown: np.ndarray, sets: np.ndarray, highest: np.ndarray
) -> dict[str, float | None]:
    """The figures of the knees that remain after a fifth is left to a reader.

    The order is that of `grade --sort uncertain`: wide sets first, then the least probable grades.
    """
    is_wide = sets[:, 1] - sets[:, 0] + 1 >= WIDE
    order = np.lexsort((highest, ~is_wide))
    kept = order[round(DEFERRED * len(grades)) :]
    return {"share": DEFERRED, **rule_figures(grades[kept], shown[kept])}
