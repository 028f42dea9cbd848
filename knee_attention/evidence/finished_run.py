"""The results of a run: computed from predictions, and as dataclasses for tables and report."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.metrics import cross_entropy, grade_metrics, losses
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import classifying
from knee_attention.limits import REGRESSION

OF_PROBABILITIES = ("cross_entropy", "oa_auc", "expected_calibration_error")
"""Metrics of probabilities, which grades alone do not have."""

ACCURACY_TOLERANCE = 0.002
"""Largest difference between the accuracies of the run and of its rounded predictions; for few
knees, that of one and a half knees. Rounding can change which of two equally probable grades is
predicted."""


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
        results[REGRESSION] = of_grades(results[REGRESSION])
    return results


def of_grades(metrics: dict) -> dict:
    """The metrics of grades without probabilities: those of probabilities are None.

    Args:
        metrics: as `metrics_with_intervals` returns them.
    """
    undefined = dict.fromkeys(OF_PROBABILITIES)
    return metrics | undefined | {"intervals": metrics["intervals"] | undefined}


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


@dataclass(frozen=True)
class FinishedRun:
    """The experiment and the results of a finished run.

    Attributes:
        experiment, results: the content of experiment.json and results.json.
        environment: the content of environment.json; empty if there is no such file.
        predictions: the predictions on the reported split.
        expert_masks: the content of expert_masks.json; None if there is no such file.
        audit: `{branch: {mask: {measure: estimate}}}` of audit.json, with the estimates of
            `evidence.audit`; empty if there is no such file.
    """

    experiment: dict
    results: dict
    environment: dict
    predictions: Predictions
    expert_masks: dict | None
    audit: dict[str, dict[str, dict]] = field(default_factory=dict, kw_only=True)

    @property
    def chosen(self) -> str:
        """The output with the lowest validation loss; it represents the run."""
        return self.results["chosen"]

    @property
    def synthetic(self) -> bool:
        """Whether its knees are phantoms."""
        return self.results["synthetic"]

    @property
    def origin(self) -> str:
        """The name of its data."""
        return "synthetic phantoms" if self.synthetic else Path(self.experiment["data"]).name

    @property
    def recipe(self) -> dict:
        """Its options without the seed and without the paths of its data and models."""
        paths = {name: str(self.experiment.get(name)) for name in ("weights", "teacher")}
        models = {name: Path(path).name for name, path in paths.items()}
        return {**self.experiment, "seed": None, "data": self.origin, **models}

    @property
    def split(self) -> str:
        """The reported split."""
        return self.results["split"]

    @property
    def outputs(self) -> dict[str, dict]:
        """The metrics of every output on the reported split."""
        return self.results[self.split]

    @property
    def minutes(self) -> float:
        """Wall time of the whole run; NaN if it is unknown."""
        return self.environment.get("wall_seconds", float("nan")) / 60

    def is_copy_of(self, other: "FinishedRun") -> bool:
        """Whether another run has the same seed and the same predictions."""
        return (
            self.experiment.get("seed") == other.experiment.get("seed")
            and self.predictions.equal(other.predictions)
        )  # fmt: skip


def estimates_by_mask(audit: dict) -> dict[str, dict[str, dict]]:
    """The estimates in the content of an audit.json: `{branch: {mask: {measure: estimate}}}`."""
    found: dict = {}
    for branch, parts in audit.get("branches", {}).items():
        for part in ("where", "matters"):
            for mask, measures in parts[part].items():
                found.setdefault(branch, {}).setdefault(mask, {}).update(measures)
    return found


@dataclass(frozen=True)
class Mistake:
    """A knee that was graded wrong.

    Attributes:
        file: name of the knee's file.
        grade: true grade.
        probabilities: `(5,)` of the chosen output.
        loss: cross-entropy.
        picture: WebP file of the knee, next to it the knee with each mask; None if unavailable.
    """

    file: str
    grade: int
    probabilities: np.ndarray
    loss: float
    picture: bytes | None = None

    @property
    def predicted(self) -> int:
        """The predicted grade."""
        return int(self.probabilities.argmax())


def refuse_mismatch(run: FinishedRun, predictions_file: Path, results_file: Path) -> None:
    """Refuse a run whose results were not computed from its predictions.

    Args:
        run: the content of the run's folder.
        predictions_file, results_file: its files, for messages.

    Raises:
        InputError: another number of knees, no such chosen output, or another accuracy.
        KeyError, TypeError, ValueError, AttributeError: the results lack entries.
    """
    predictions, results = run.predictions, results_file.name
    if len(predictions) != run.results["knees"]:
        raise InputError(f"{predictions_file}: has {len(predictions)} knees, {results} has "
                         f"{run.results['knees']}")
    predictions.of(run.chosen)
    tolerance = max(ACCURACY_TOLERANCE, 1.5 / len(predictions))
    for output, metrics in run.outputs.items():
        accuracy = np.mean(predictions.of(output).argmax(axis=1) == predictions.grades)
        if abs(accuracy - metrics["accuracy"]) > tolerance:
            raise InputError(f"{predictions_file}: the accuracy of {output} is {accuracy:.3f}, but "
                             f"{metrics['accuracy']:.3f} in {results}")


@dataclass(frozen=True)
class ReportedRun(FinishedRun):
    """A finished run with what the page shows of it.

    Attributes:
        label: unique name on the page.
        folder: the run's folder.
        figures: `{name: WebP file}` of the figures in the folder.
        mistakes: the worst mistakes, worst first.
        branches: the branches whose attention is drawn on the mistakes.
        unshown: why some mistakes have no picture; empty if all have one.
    """

    label: str
    folder: Path
    figures: dict[str, bytes]
    mistakes: tuple[Mistake, ...] = ()
    branches: tuple[str, ...] = ()
    unshown: str = ""


def worst_positions(predictions: Predictions, output: str, count: int) -> np.ndarray:
    """Positions of the wrongly graded knees that are furthest from the true grade, worst first.

    At the same distance, the knee with the lower probability of its true grade comes first.

    Args:
        predictions: predictions on all knees.
        output: name of the output that grades.
        count: maximum number of knees.
    """
    grades, probabilities = predictions.grades, predictions.of(output)
    distance = np.abs(probabilities.argmax(axis=1) - grades)
    worst = np.lexsort((probabilities[np.arange(len(grades)), grades], -distance))
    return worst[distance[worst] > 0][:count]


def worst_mistakes(
    predictions: Predictions, output: str, count: int
) -> tuple[Mistake, ...]:
    """The mistakes at the positions of `worst_positions`."""
    probabilities = predictions.of(output)
    loss = losses(predictions.grades, probabilities)
    return tuple(
        Mistake(
            predictions.files[knee],
            int(predictions.grades[knee]),
            probabilities[knee],
            float(loss[knee]),
        )
        for knee in worst_positions(predictions, output, count)
    )
