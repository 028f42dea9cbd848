"""A finished run as the report takes it: plain data, read and drawn elsewhere."""

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
        file: its name.
        grade: the true grade.
        probabilities: `(5,)` of the chosen output.
        loss: its cross-entropy.
        picture: the knee and beside it the same under its mask, as WebP; None where it cannot be
            shown.
    """

    file: str
    grade: int
    probabilities: np.ndarray
    loss: float
    picture: bytes | None = None

    @property
    def predicted(self) -> int:
        """The grade that was given instead."""
        return int(self.probabilities.argmax())


@dataclass(frozen=True)
class ReportedRun(FinishedRun):
    """What the page shows of a run.

    Attributes:
        label: its name on the page, which no other run has.
        folder: where it lies.
        figures: name -> WebP, as far as the folder holds them.
        mistakes: the worst ones, worst first.
        branch: whose attention lies over the mistakes.
        unshown: why some mistakes have no picture; empty where all have one.
    """

    label: str
    folder: Path
    figures: dict[str, bytes]
    mistakes: tuple[Mistake, ...] = ()
    branch: str | None = None
    unshown: str = ""


def worst_mistakes(
    predictions: Predictions, output: str, count: int
) -> tuple[Mistake, ...]:
    """The wrongly graded knees with the highest cross-entropy, worst first.

    Args:
        predictions: of all knees.
        output: whose grades count.
        count: at most so many.
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
