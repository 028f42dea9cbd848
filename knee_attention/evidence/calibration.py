"""What a model file records about confidence: from a network's outputs to grades and sets.

The entries of a description:

- `temperatures`: `{output: temperature}`, which divides the output's logits.
- `decision`: the `default` rule, the `grade_counts` of the training knees, the `power` of
  `balanced`, and the `validation` figures of each rule.
- `prediction_sets`: the `thresholds` of the chosen output, the numbers of `knees` and `subjects`
  that they come from, and the `validation` figures.
- `local_calibration`: see `shift_cut_points` and `fit_cut_points`. Its sets replace those above.

Local readers draw the borders between grades (cut points) at other places, and films of another
hospital move the network's values. Both shift the log-odds of "at least grade k" (McCullagh,
"Regression Models for Ordinal Data", JRSS B 42, 1980): for k = 1 to 4,
`(log-odds - shift) / temperature`. Few films do not determine five numbers. The fit is therefore
the maximum a posteriori under normal priors, which keep the shifts near zero and near each other,
and the temperature near one.

The module needs only NumPy, because grading works without scikit-learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.decision import decide, frequency_divisors
from knee_attention.evidence.prediction_sets import prediction_sets
from knee_attention.evidence.probabilities import refuse_not_finite, tempered
from knee_attention.limits import COVERAGE_STEPS, GRADES, PROBABLE

COVERAGE = 0.9
"""Coverage of the prediction sets unless another one is asked for."""

NO_SETS = ("the model file has no prediction sets; knee-attention calibrate MODEL --data DIR "
           "--output NEW adds them from graded films")

LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.1, 10.0
"""Search interval of `best_temperature`."""


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model.

    Attributes:
        temperatures: `{output: temperature}`.
        cut_points: `{output: {"shifts", "temperature"}}` of a local calibration.
        default: the decision rule that the file recommends.
        divisors: `(5,)` divisors of the rule `balanced`; None if the file does not record them.
        thresholds: thresholds of the prediction sets of the chosen output; None without sets.
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    cut_points: Mapping[str, Mapping] = field(default_factory=dict)
    default: str = PROBABLE
    divisors: np.ndarray | None = None
    thresholds: Sequence[float | None] | None = None

    @classmethod
    def recorded(cls, description: Mapping) -> "Calibration":
        """The calibration in a checked description; entries may be missing."""
        local = description.get("local_calibration") or {}
        decision = description.get("decision") or {}
        sets = local.get("prediction_sets") or description.get("prediction_sets") or {}
        divisors = None
        if decision:
            divisors = frequency_divisors(decision["grade_counts"], decision["power"])
        return cls(
            description.get("temperatures") or {},
            local.get("cut_points") or {},
            decision.get("default", PROBABLE),
            divisors,
            sets.get("thresholds"),
        )

    def probabilities(self, output: str, values: np.ndarray) -> np.ndarray:
        """The calibrated probabilities of an output.

        Args:
            output: name of the output.
            values: `(n, 5)` probabilities of the network.

        Raises:
            InputError: a probability is not finite.
        """
        if output in self.temperatures:
            values = tempered(values, self.temperatures[output])
        if output in self.cut_points:
            values = shift_cut_points(values, **self.cut_points[output])
        return values

    def checked_rule(self, rule: str | None) -> str:
        """The rule, or the file's default for None.

        Raises:
            InputError: no such rule, or the file lacks what it needs.
        """
        rule = rule or self.default
        decide(np.eye(1, 5), rule, self.divisors)
        return rule

    def checked_coverage(self, coverage: float | None) -> float | None:
        """The coverage; for None, that of 90%, or None if the file has no sets.

        Raises:
            InputError: not a whole percentage from 0.01 to 0.99, or a file without sets.
        """
        if coverage is None:
            return None if self.thresholds is None else COVERAGE
        if self.thresholds is None:
            raise InputError(NO_SETS)
        percent = coverage * COVERAGE_STEPS
        if not 0.5 < percent < COVERAGE_STEPS - 0.5 or abs(percent - round(percent)) > 1e-6:
            raise InputError("expected a coverage from 0.01 to 0.99 with two decimals. Received: "
                             f"{coverage}")
        return coverage

    def grades(self, probabilities: np.ndarray, rule: str) -> np.ndarray:
        """The grades `(n,)` by a rule, from calibrated probabilities of the chosen output."""
        return decide(probabilities, rule, self.divisors)

    def sets(self, probabilities: np.ndarray, grades: np.ndarray, coverage: float) -> np.ndarray:
        """The lowest and highest grade `(n, 2)` of each knee's prediction set.

        A set grows to hold the grade that is shown beside it, which another rule may have chosen.

        Args:
            probabilities: `(n, 5)` calibrated probabilities of the chosen output.
            grades: `(n,)` shown grades.
            coverage: from `checked_coverage`.
        """
        sets = prediction_sets(probabilities, self.thresholds, coverage)
        return np.stack([np.minimum(sets[:, 0], grades), np.maximum(sets[:, 1], grades)], axis=1)


LEAST_PROBABILITY = 1e-7
"""Probabilities below are raised to it, so that their log-odds are finite."""

LARGEST_LOGARITHM = 2.0
"""Largest absolute logarithm of the temperature."""

SHIFT_DEVIATION, SPREAD_DEVIATION, TEMPERATURE_DEVIATION = 1.0, 1.0, 0.5
"""Standard deviations of the priors: of the mean shift, of the shifts around their mean, and of the
logarithm of the temperature."""


def shift_cut_points(
    probabilities: np.ndarray, shifts: Sequence[float], temperature: float
) -> np.ndarray:
    """Probabilities after a shift of the cut points.

    Args:
        probabilities: `(n, 5)`, rows summing to one.
        shifts: four numbers; a positive one makes the grades above its cut less probable.
        temperature: above 0; above 1 it lowers the confidence.

    Returns:
        `(n, 5)` float64, rows summing to one.

    Raises:
        InputError: a probability is not finite.

    Example:

    >>> shift_cut_points(np.array([[0.1, 0.2, 0.4, 0.2, 0.1]]), [1, 1, 1, 1], 1).round(2).tolist()
    [[0.23, 0.31, 0.33, 0.1, 0.04]]
    """
    refuse_not_finite(probabilities, "a probability")
    return _shifted(_log_odds(probabilities), np.asarray(shifts), temperature)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The log-odds `(n, 4)` of at least grade 1, 2, 3 and 4."""
    values = np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)
    reached = values[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    return np.log(reached / values.cumsum(axis=1)[:, :-1])


def _shifted(log_odds: np.ndarray, shifts: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities `(n, 5)` by shifted log-odds."""
    # A cut may not pass the next one: no grade has a negative probability.
    log_odds = np.minimum.accumulate((log_odds - shifts) / temperature, axis=1)
    at_least = np.ones((len(log_odds), len(GRADES) + 1))
    at_least[:, 1:-1] = 1 / (1 + np.exp(-log_odds))
    at_least[:, -1] = 0
    found = np.maximum(at_least[:, :-1] - at_least[:, 1:], LEAST_PROBABILITY)
    return found / found.sum(axis=1, keepdims=True)


def best_temperature(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the lowest cross-entropy. Call it on the validation split.

    Args:
        grades: `(n,)` true grades 0-4.
        probabilities: `(n, 5)`, rows summing to one.
    """
    from scipy.optimize import minimize_scalar

    from knee_attention.evidence.metrics import cross_entropy

    found = minimize_scalar(
        lambda logarithm: cross_entropy(grades, tempered(probabilities, np.exp(logarithm))),
        bounds=(np.log(LEAST_TEMPERATURE), np.log(LARGEST_TEMPERATURE)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_cut_points(grades: np.ndarray, probabilities: np.ndarray) -> dict:
    """Shifts and temperature that fit the grades best, under the priors.

    Args:
        grades: `(n,)` grades by the local readers.
        probabilities: `(n, 5)` of the model for the same films.

    Returns:
        the arguments `shifts` and `temperature` of `shift_cut_points`, rounded to four digits.
    """
    from scipy.optimize import minimize

    refuse_not_finite(probabilities, "a probability")
    log_odds, films = _log_odds(probabilities), np.arange(len(grades))

    def negative_log_posterior(numbers: np.ndarray) -> float:
        shifts, logarithm = numbers[:-1], numbers[-1]
        found = _shifted(log_odds, shifts, _temperature(logarithm))
        data = -np.log(found[films, grades]).sum()
        deviations = [
            shifts.mean() / SHIFT_DEVIATION,
            *(shifts - shifts.mean()) / SPREAD_DEVIATION,
            logarithm / TEMPERATURE_DEVIATION,
        ]
        return data + np.square(deviations).sum() / 2

    # BFGS, because L-BFGS-B waits for threads of BLAS and takes four times as long.
    *shifts, logarithm = minimize(negative_log_posterior, np.zeros(len(GRADES)), method="BFGS").x
    return {"shifts": [round(float(shift), 4) for shift in shifts],
            "temperature": round(_temperature(logarithm), 4)}  # fmt: skip


def _temperature(logarithm: float) -> float:
    return float(np.exp(np.clip(logarithm, -LARGEST_LOGARITHM, LARGEST_LOGARITHM)))
