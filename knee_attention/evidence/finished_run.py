"""A finished run as plain data, for tables and the report."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from knee_attention.evidence.predictions import Predictions

Name = TypeVar("Name", bound=Hashable)


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
        """Its options without the seed and without the paths of its data and initial weights."""
        weights = Path(str(self.experiment.get("weights"))).name
        return {**self.experiment, "seed": None, "data": self.origin, "weights": weights}

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


class _Comparable(Protocol):
    def is_copy_of(self, other) -> bool: ...


def copies(runs: Mapping[Name, _Comparable]) -> dict[Name, Name]:
    """The runs, or measured models, that are copies of another one.

    Args:
        runs: `{name: run}`.

    Returns:
        `{copy: original}`; the original is the first run with the same content.
    """
    originals, found = [], {}
    for name, run in runs.items():
        original = next((known for known in originals if run.is_copy_of(runs[known])), None)
        if original is None:
            originals.append(name)
        else:
            found[name] = original
    return found
