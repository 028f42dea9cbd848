"""Check that the results of a finished run match its predictions."""

from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import InputError

if TYPE_CHECKING:  # pandas, which command lines do not wait for
    from knee_attention.evidence.finished_run import FinishedRun

ACCURACY_TOLERANCE = 0.002
"""Largest difference between the accuracies of the run and of its rounded predictions; for few
knees, that of one and a half knees. Rounding can change which of two equally probable grades is
predicted."""


def refuse_mismatch(run: "FinishedRun", predictions_file: Path, results_file: Path) -> None:
    """Refuse a run whose results were not computed from its predictions.

    Args:
        run: the content of the run's folder.
        predictions_file, results_file: its files, for messages.

    Raises:
        InputError: another number of knees, no such chosen output, or another accuracy.
        KeyError, TypeError, ValueError, AttributeError: the results lack entries.
    """
    import numpy as np

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
