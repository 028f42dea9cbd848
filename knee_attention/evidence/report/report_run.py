"""The data of a finished run for the report. `runs.finished.reporting` reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.metrics import losses
from knee_attention.evidence.predictions import Predictions


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


def worst_mistakes(
    predictions: Predictions, output: str, count: int
) -> tuple[Mistake, ...]:
    """The wrongly graded knees with the highest cross-entropy, worst first.

    Args:
        predictions: predictions on all knees.
        output: name of the output that grades.
        count: maximum number of mistakes.
    """
    probabilities = predictions.of(output)
    loss = losses(predictions.grades, probabilities)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != predictions.grades)
    worst = wrong[np.argsort(-loss[wrong], kind="stable")][:count]
    return tuple(
        Mistake(
            predictions.files[knee],
            int(predictions.grades[knee]),
            probabilities[knee],
            float(loss[knee]),
        )
        for knee in worst
    )
