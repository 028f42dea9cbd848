"""Runs as they are kept beside the code: what was run and what it found, without the weights."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from knee_attention.errors import InputError
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import Predictions, read_predictions
from knee_attention.evidence.table1 import Training
from knee_attention.files import make_folder, read_json, write_json, written_whole

KEPT = ("experiment.json", "environment.json", "history.csv", "predictions.csv", "results.json")
"""The files of a published run."""

KEPT_IF_THERE = ("turned.csv", "expert_masks.json")

PROBABILITY = "{:.4f}"
"""Digits of a published probability; the metrics hardly notice."""

ACCURACY_TOLERANCE = 0.002
"""How far accuracies of rounded probabilities may lie from those of a run: two grades that are
equally probable may change places."""


def publish(run: Path, to: Path, overwrite: bool = False) -> Path:
    """Copy what a finished run found into a folder of its name, whole or not at all.

    Paths of the machine it ran on become the last part of their names, and probabilities are
    rounded.

    Args:
        run: the folder of a finished run.
        to: where published runs are gathered.
        overwrite: replace a run that was published under this name before.

    Returns:
        the folder of the published run.

    Raises:
        InputError: no finished run, one whose files do not fit each other, one published before,
            or a place that cannot be written to.
    """
    run, to = Path(run), Path(to)
    if not run.is_dir():
        raise InputError(f"{run}: no folder of a run")
    missing = [name for name in KEPT if not (run / name).is_file()]
    if missing:
        raise InputError(f"{run}: not a finished run, it has no {missing[0]}")
    training = read_training(run)
    target = to / run.resolve().name
    if target.resolve() == run.resolve():
        raise InputError(f"{run}: is published already")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: published before; --overwrite replaces it")
    make_folder(to)
    beside = to / f".{os.getpid()}.{target.name}"
    try:
        beside.mkdir()
        experiment = read_json(run / "experiment.json")
        write_json(beside / "experiment.json", {k: _local(v) for k, v in experiment.items()})
        environment = read_json(run / "environment.json")
        environment["command"] = [_local(word) for word in environment.get("command", [])]
        write_json(beside / "environment.json", environment)
        _write_rounded(run / "predictions.csv", training.predictions, beside / "predictions.csv")
        copied = {*KEPT, *KEPT_IF_THERE} - {path.name for path in beside.iterdir()}
        for name in sorted(copied):
            if (run / name).is_file():
                shutil.copyfile(run / name, beside / name)
        if target.exists():
            shutil.rmtree(target)
        beside.rename(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def read_training(folder: Path) -> Training:
    """A finished or published run as the tables take it.

    Raises:
        InputError: files are missing or damaged, or the predictions are not those that the results
            were computed from.
    """
    folder = Path(folder)
    environment = folder / "environment.json"
    results = read_json(folder / "results.json")
    known = read_json(environment) if environment.exists() else {}
    try:
        minutes = known.get("wall_seconds", float("nan")) / 60
        predictions = read_predictions(folder / "predictions.csv")
        measured = results[results["split"]]
        if len(predictions) != results["knees"]:
            raise InputError(f"{folder}: predictions.csv holds {len(predictions)} knees, "
                             f"results.json tells of {results['knees']}")
        for output, metrics in measured.items():
            found = grade_metrics(predictions.grades, predictions.of(output))["accuracy"]
            if abs(found - metrics["accuracy"]) > max(ACCURACY_TOLERANCE, 1.5 / len(predictions)):
                raise InputError(f"{folder}: by predictions.csv {output} has an accuracy of "
                                 f"{found:.3f}, results.json says {metrics['accuracy']:.3f}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: a damaged run ({error})") from None
    return Training(results, predictions, minutes)


def _local(value):
    """A value without the path of a machine."""
    is_path = isinstance(value, str) and (os.sep in value or "\\" in value)
    return Path(value.replace("\\", "/")).name if is_path else value


def _write_rounded(source: Path, predictions: Predictions, path: Path) -> None:
    table = pd.read_csv(source, dtype=str, keep_default_na=False)
    for output, values in predictions.probabilities.items():
        for grade, column in enumerate(np.moveaxis(values, 1, 0)):
            table[f"{output}_p{grade}"] = [PROBABILITY.format(value) for value in column]
    with written_whole(path) as beside:
        table.to_csv(beside, index=False)
