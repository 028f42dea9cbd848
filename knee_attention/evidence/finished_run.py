"""A finished run as tables and the report take it: plain data, whoever read it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from knee_attention.evidence.predictions import Predictions

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class FinishedRun:
    """What was run, and what came of it.

    Attributes:
        experiment, results, environment, expert_masks: the contents of the files of these names
            in a run's folder; the third is empty and the last None where there is none.
        predictions: of the split that is reported.
    """

    experiment: dict
    results: dict
    environment: dict
    predictions: Predictions
    expert_masks: dict | None

    @property
    def chosen(self) -> str:
        """The output that validation chose, which stands for the run."""
        return self.results["chosen"]

    @property
    def synthetic(self) -> bool:
        """Whether its knees are phantoms."""
        return self.results["synthetic"]

    @property
    def origin(self) -> str:
        """Where its knees come from."""
        return "synthetic phantoms" if self.synthetic else Path(self.experiment["data"]).name

    @property
    def split(self) -> str:
        """The split that is reported."""
        return self.results["split"]

    @property
    def outputs(self) -> dict[str, dict]:
        """The metrics of every output on that split."""
        return self.results[self.split]

    @property
    def minutes(self) -> float:
        """Wall time of the whole run; NaN where that is not known."""
        return self.environment.get("wall_seconds", float("nan")) / 60

    def is_copy_of(self, other: "FinishedRun") -> bool:
        """Whether another run is this very training: it has the same seed and predictions."""
        return (
            self.experiment.get("seed") == other.experiment.get("seed")
            and self.predictions.equal(other.predictions)
        )  # fmt: skip


class _Comparable(Protocol):
    def is_copy_of(self, other) -> bool: ...


def copies(runs: Mapping[Name, _Comparable]) -> dict[Name, Name]:
    """The runs, or measured models, that are copies of another one, whatever they are called.

    Args:
        runs: `{name: run}`.

    Returns:
        `{copy: original}`; the original is the first run of its content.
    """
    originals, found = [], {}
    for name, run in runs.items():
        original = next((known for known in originals if run.is_copy_of(runs[known])), None)
        if original is None:
            originals.append(name)
        else:
            found[name] = original
    return found
