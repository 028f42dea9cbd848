"""What a model file records about confidence: from a network's outputs to grades and sets.

The entries of a description:

- `temperatures`: `{output: temperature}`, which divides the output's logits.
- `decision`: the `default` rule, the `grade_counts` of the training knees, the `power` of
  `balanced`, and the `validation` figures of each rule.
- `prediction_sets`: the `thresholds` of the chosen output, the numbers of `knees` and `subjects`
  that they come from, and the `validation` figures.
- `local_calibration`: see `evidence.cut_points`. Its sets replace those above.

The module needs only NumPy, because grading works without scikit-learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.cut_points import moved
from knee_attention.evidence.decision import decide, frequency_divisors
from knee_attention.evidence.prediction_sets import STEPS, prediction_sets
from knee_attention.evidence.probabilities import tempered
from knee_attention.limits import PROBABLE

COVERAGE = 0.9
"""Coverage of the prediction sets unless another one is asked for."""

NO_SETS = ("the model file has no prediction sets; knee-attention calibrate MODEL --data DIR "
           "--output NEW adds them from graded films")


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
            values = moved(values, **self.cut_points[output])
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
        if not 0 < coverage < 1 or abs(coverage * STEPS - round(coverage * STEPS)) > 1e-6:
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
