"""Calibrate a model on graded local films, and measure by cross-validation what that gains.

The fit changes three things: the cut points and the temperature of every output
(`calibration.fit_cut_points`), and the thresholds of the prediction sets. The weights stay as they
are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knee_attention.evidence.calibration import (
    COVERAGE,
    Calibration,
    fit_cut_points,
    shift_cut_points,
)
from knee_attention.evidence.decision import Rule, cross_validated
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.metrics import cross_entropy, grade_metrics
from knee_attention.evidence.prediction_sets import set_figures, thresholds
from knee_attention.evidence.predictions import Predictions
from knee_attention.limits import GRADES

INNER_FOLDS = 5
"""Folds of the cross-validation in `_thresholds`."""

OF_GRADES = ("kappa_quadratic", "accuracy")
OF_PROBABILITIES = "cross_entropy"


@dataclass(frozen=True)
class LocalFit:
    """A calibration on local films and what it gains.

    Attributes:
        entry: the entry `local_calibration` of a description, without origin and date.
        before: figures with the original calibration.
        after: the same, cross-validated.
        gains: `{metric: {"difference", "interval"}}`, after minus before.
    """

    entry: dict
    before: dict
    after: dict
    gains: dict

    @property
    def is_better(self) -> bool:
        """Whether the cross-entropy falls and the quadratic kappa does not."""
        return (
            self.gains["cross_entropy"]["difference"] < 0
            and self.gains["kappa_quadratic"]["difference"] >= 0
        )


def fit_local(known: Predictions, chosen: str, calibration: Calibration, rule: str) -> LocalFit:
    """Fit cut points, temperature and prediction sets to local films.

    Args:
        known: the films' grades and the probabilities of the original calibration.
        chosen: the output that grades.
        calibration: the original one.
        rule: the rule that decides.
    """
    values, subjects = known.probabilities[chosen], np.array(known.subjects)
    cut_points = {
        output: fit_cut_points(known.grades, probabilities)
        for output, probabilities in known.probabilities.items()
    }
    entry = {
        "cut_points": cut_points,
        "knees": len(known),
        "subjects": len(set(known.subjects)),
        "prediction_sets": {"thresholds": _thresholds(known.grades, values, subjects)},
    }

    def learn(grades: np.ndarray, probabilities: np.ndarray, persons: np.ndarray) -> Rule:
        local = replace(
            calibration,
            cut_points={chosen: fit_cut_points(grades, probabilities)},
            temperatures={},
            thresholds=_thresholds(grades, probabilities, persons),
        )

        def apply(others: np.ndarray) -> np.ndarray:
            found = local.probabilities(chosen, others)
            decided = local.grades(found, rule)
            return np.column_stack([found, decided, local.sets(found, decided, COVERAGE)])

        return apply

    found = cross_validated(learn, known.grades, values, subjects)
    shifted, decided, sets = np.split(found, [len(GRADES), len(GRADES) + 1], axis=1)
    now = _Graded(shifted, decided[:, 0].astype(int), sets.astype(int))
    decided = calibration.grades(values, rule)
    has_sets = calibration.thresholds is not None
    sets = calibration.sets(values, decided, COVERAGE) if has_sets else None
    then = _Graded(values, decided, sets)
    return LocalFit(entry, then.figures(known), now.figures(known), _gains(known, then, now))


@dataclass(frozen=True)
class _Graded:
    """Calibrated probabilities `(n, 5)`, grades `(n,)`, and sets `(n, 2)` or None."""

    probabilities: np.ndarray
    grades: np.ndarray
    sets: np.ndarray | None

    @property
    def one_hot(self) -> np.ndarray:
        return np.eye(len(GRADES))[self.grades]

    def figures(self, known: Predictions) -> dict:
        of_grades = grade_metrics(known.grades, self.one_hot)
        found = {name: of_grades[name] for name in OF_GRADES}
        found[OF_PROBABILITIES] = cross_entropy(known.grades, self.probabilities)
        if self.sets is not None:
            sets = set_figures(known.grades, self.grades, self.sets)
            found |= {name: sets[name] for name in ("coverage", "size")}
        return found


def _gains(known: Predictions, then: _Graded, now: _Graded) -> dict:
    """Differences with 95% intervals over persons."""
    found = {}
    for names, kind in ((OF_GRADES, "one_hot"), ((OF_PROBABILITIES,), "probabilities")):
        after, before = (
            replace(known, probabilities={kind: getattr(one, kind)}) for one in (now, then)
        )
        differences = paired_differences(after, kind, before, kind)["metrics"]
        found |= {name: differences[name] for name in names}
    return found


def _thresholds(
    grades: np.ndarray, probabilities: np.ndarray, subjects: Sequence[str]
) -> list[float | None]:
    """Thresholds from cross-validated probabilities: each film's cut points fit other persons."""

    def learn(grades: np.ndarray, probabilities: np.ndarray, persons: np.ndarray) -> Rule:
        fitted = fit_cut_points(grades, probabilities)
        return lambda others: shift_cut_points(others, **fitted)

    shifted = cross_validated(learn, grades, probabilities, subjects, INNER_FOLDS)
    return thresholds(grades, shifted, subjects)
