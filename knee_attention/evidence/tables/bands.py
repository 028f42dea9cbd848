"""Bands in which the results of a rerun must fall, from the spread over published trainings.

A band is the 95% prediction interval of one further training. For n trainings with mean m and
standard deviation s it is m ± t s sqrt(1 + 1/n), with the quantile t of Student's distribution of
n - 1 degrees of freedom. An experiment with a single training has the pooled standard deviation of
the others, and their degrees of freedom.

A rerun is measured on the same knees, so the sampling error of the knees is not part of a band.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
from scipy.stats import t as student

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.intervals import LEVEL
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.tables.beyond_the_paper import Runs
from knee_attention.evidence.tables.common import Finished, same_knees

METRICS = ("accuracy", "kappa_quadratic")

Measured = Mapping[str, Mapping[str, list[dict]]]
"""The metrics of `grade_metrics` of each training: `{experiment: {output: [metrics]}}`."""


@dataclass(frozen=True)
class Band:
    """The band of a metric of one output.

    Attributes:
        mean: the mean over trainings.
        spread: their standard deviation; None for a single training.
        trainings: their number.
        low, high: the bounds of the band.
    """

    mean: float
    spread: float | None
    trainings: int
    low: float
    high: float


def measured(runs: Runs) -> dict[str, dict[str, list[dict]]]:
    """The metrics of each output in each training of `{experiment: trainings}`."""
    return {
        name: {
            output: [grade_metrics(one.predictions.grades, one.predictions.of(output))
                     for one in trainings]
            for output in trainings[0].predictions.probabilities
        }
        for name, trainings in runs.items()
    }  # fmt: skip


def bands(known: Measured, metric: str) -> dict[tuple[str, str], Band]:
    """The bands of a metric: `{(experiment, output): band}`.

    Experiments with a single training have none if no experiment has several.

    Args:
        known: the result of `measured`.
        metric: a name of `grade_metrics`.
    """
    values = _values(known, metric)
    pooled, freedom = _pooled(values)
    found = {}
    for name, outputs in values.items():
        for output, each in outputs.items():
            count, mean = len(each), float(np.mean(each))
            spread = float(np.std(each, ddof=1)) if count > 1 else None
            if spread is None and not freedom:
                continue
            deviation, degrees = (spread, count - 1) if count > 1 else (pooled, freedom)
            reach = student.ppf((1 + LEVEL) / 2, degrees) * deviation * sqrt(1 + 1 / count)
            found[name, output] = Band(mean, spread, count, mean - reach, mean + reach)
    return found


def _values(known: Measured, metric: str) -> dict[str, dict[str, list[float]]]:
    """One metric of each training: `{experiment: {output: [value]}}`."""
    return {
        name: {output: [one[metric] for one in trainings] for output, trainings in outputs.items()}
        for name, outputs in known.items()
    }


def _pooled(values: Mapping[str, Mapping[str, list[float]]]) -> tuple[float, int]:
    """The pooled standard deviation over trainings, and its degrees of freedom.

    The outputs of an experiment count once, by their mean variance, because they are trained
    together.
    """
    variances, freedoms = [], []
    for outputs in values.values():
        each = list(outputs.values())
        if len(each[0]) > 1:
            variances.append(np.mean([np.var(one, ddof=1) for one in each]))
            freedoms.append(len(each[0]) - 1)
    if not freedoms:
        return 0.0, 0
    return sqrt(np.average(variances, weights=freedoms)), sum(freedoms)


def band_rows(known: Measured) -> list[list[str]]:
    """Rows `[experiment, output, trainings, accuracy ± spread, its band, quadratic kappa ± spread,
    its band]`.
    """
    of_metrics = [bands(known, metric) for metric in METRICS]
    rows = []
    for name, output in of_metrics[0]:
        cells = []
        for each in (found[name, output] for found in of_metrics):
            spread = f" ± {each.spread:.3f}" if each.spread is not None else ""
            cells += [f"{each.mean:.3f}{spread}", f"{each.low:.3f} to {each.high:.3f}"]
        rows.append([name, output, f"{each.trainings}", *cells])
    return rows


def band_text(known: Measured) -> str:
    """An explanation of the bands, with the pooled spread and the sampling error of the knees."""
    pooled, freedom = _pooled(_values(known, "accuracy"))
    trainings = [one for outputs in known.values() for each in outputs.values() for one in each]
    accuracy = np.mean([one["accuracy"] for one in trainings])
    knees = int(np.sum(trainings[0]["confusion"]))
    error = 1.96 * sqrt(accuracy * (1 - accuracy) / knees)
    return (
        "A further training of an experiment, on the same data and with the same options, falls "
        "into its band with a probability of 95%: the prediction interval of Student's t "
        "distribution over its trainings. One of twenty reruns lies outside by chance. A single "
        f"training has the pooled spread of the others, {pooled:.3f} of accuracy with {freedom} "
        f"degrees of freedom. The binomial error of an accuracy on {knees} knees, "
        f"±{error:.3f}, is no part of the band, because a rerun is measured on the same knees. "
        "`run_table1.py` and `run_table2.py` mark a run outside of its band."
    )


def with_bands(table: pd.DataFrame, finished: Finished, published: Runs) -> pd.DataFrame:
    """A table with the published band of each accuracy, and with the runs outside of it.

    Args:
        table: rows of a table, with `backbone`, `variant` and `output`.
        finished: the runs of its rows.
        published: published runs by experiment.

    Returns:
        The table with `band_low`, `band_high` and `outside`, the seeds of the runs outside as text.
        A row without published runs on the same knees and with the same options has None.
    """
    known = bands(measured(published), "accuracy")
    cells = []
    for row in table.to_dict("records"):
        trainings = finished[row["backbone"], row["variant"]]
        name, output = trainings[0].results["name"], row["output"]
        band = known.get((name, output))
        if band is None or not _are_reruns(trainings, published[name]):
            cells.append((None, None, None))
            continue
        reached = [one["accuracy"] for one in measured({name: trainings})[name][output]]
        outside = [run.experiment["seed"] for run, value in zip(trainings, reached, strict=True)
                   if not band.low <= value <= band.high]  # fmt: skip
        cells.append((band.low, band.high, ", ".join(map(str, outside))))
    columns = ["band_low", "band_high", "outside"]
    return table.join(pd.DataFrame(cells, table.index, columns))


def _are_reruns(trainings: list[FinishedRun], published: list[FinishedRun]) -> bool:
    """Whether runs have the knees and the options of published ones."""
    every = [*published, *trainings]
    return same_knees(every) and all(
        (run.recipe, run.split) == (published[0].recipe, published[0].split) for run in every
    )
