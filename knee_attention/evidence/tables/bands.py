"""Bands in which the results of a rerun must fall, from the spread over published trainings.

A band is the 95% prediction interval of one further training. For n trainings with mean m and
standard deviation s it is m ± t s sqrt(1 + 1/n), with the quantile t of Student's distribution of
n - 1 degrees of freedom. An experiment with a single training has the pooled standard deviation of
the others, and their degrees of freedom.

A rerun is measured on the same knees, so the sampling error of the knees is not part of a band.
"""

from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.intervals import LEVEL
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.tables.beyond_the_paper import Runs
from knee_attention.evidence.tables.common import Finished

METRICS = ("accuracy", "kappa_quadratic")


def measured(runs: Runs) -> pd.DataFrame:
    """The metrics of each output in each training of `{experiment: trainings}`.

    Returns:
        One row an output of a training: `experiment`, `output`, `knees` and the `METRICS`, NaN if a
        metric is undefined.
    """
    rows = []
    for name, trainings in runs.items():
        for output in trainings[0].predictions.probabilities:
            for known in (training.predictions for training in trainings):
                found = grade_metrics(known.grades, known.of(output))
                rows.append({"experiment": name, "output": output, "knees": len(known),
                             **{metric: found[metric] for metric in METRICS}})  # fmt: skip
    return pd.DataFrame(rows).astype(dict.fromkeys(METRICS, float))


def bands(known: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The bands of a metric.

    Experiments with a single training have none if no experiment has several.

    Args:
        known: the result of `measured`.
        metric: one of `METRICS`.

    Returns:
        One row `(experiment, output)` a band: the `mean`, the standard deviation `std` (NaN for a
        single training) and the `count` of the trainings, and the bounds `low` and `high`.
    """
    found = _statistics(known, metric)
    pooled, freedom = _pooled(found)
    several = found["count"] > 1
    quantile = student.ppf((1 + LEVEL) / 2, (found["count"] - 1).where(several, freedom))
    reach = quantile * found["std"].where(several, pooled) * np.sqrt(1 + 1 / found["count"])
    return found.assign(low=found["mean"] - reach, high=found["mean"] + reach).dropna(subset="low")


def _statistics(known: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean, standard deviation and number of the trainings by experiment and output."""
    grouped = known.groupby(["experiment", "output"], sort=False)
    return grouped[metric].agg(["mean", "std", "count"])


def _pooled(found: pd.DataFrame) -> tuple[float, int]:
    """The pooled standard deviation over trainings, and its degrees of freedom.

    The outputs of an experiment count once, by their mean variance, because they are trained
    together.
    """
    several = found[found["count"] > 1]
    variances = (several["std"] ** 2).groupby("experiment").mean()
    freedoms = several["count"].groupby("experiment").first() - 1
    if several.empty:
        return float("nan"), 0
    return sqrt(np.average(variances, weights=freedoms)), int(freedoms.sum())


def band_rows(known: pd.DataFrame) -> list[list[str]]:
    """Rows `[experiment, output, trainings, accuracy ± spread, its band, quadratic kappa ± spread,
    its band]`; empty cells for a metric that is undefined.
    """
    of_metrics = [bands(known, metric) for metric in METRICS]
    rows = []
    for key, first in of_metrics[0].iterrows():
        cells = []
        for found in of_metrics:
            if key not in found.index:
                cells += ["", ""]
                continue
            band = found.loc[key]
            spread = f" ± {band['std']:.3f}" if band["count"] > 1 else ""
            cells += [f"{band['mean']:.3f}{spread}", f"{band['low']:.3f} to {band['high']:.3f}"]
        rows.append([*key, f"{first['count']:.0f}", *cells])
    return rows


def band_text(known: pd.DataFrame) -> str:
    """An explanation of the bands, with the pooled spread and the sampling error of the knees."""
    pooled, freedom = _pooled(_statistics(known, "accuracy"))
    accuracy, knees = known["accuracy"].mean(), known["knees"].iloc[0]
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
        if (name, output) not in known.index or not _are_reruns(trainings, published[name]):
            cells.append((None, None, None))
            continue
        low, high = known.loc[(name, output), ["low", "high"]]
        again = measured({name: trainings})
        reached = again.loc[again["output"] == output, "accuracy"]
        outside = [run.experiment["seed"] for run, value in zip(trainings, reached, strict=True)
                   if not low <= value <= high]  # fmt: skip
        cells.append((low, high, ", ".join(map(str, outside))))
    columns = ["band_low", "band_high", "outside"]
    return table.join(pd.DataFrame(cells, table.index, columns))


def _are_reruns(trainings: list[FinishedRun], published: list[FinishedRun]) -> bool:
    """Whether runs have the knees and the options of published ones.

    Knees are compared by name and grade, because folders and image formats of a set may differ.
    """
    def identity(run: FinishedRun) -> tuple:
        knees = [Path(file).stem for file in run.predictions.files]
        return {**run.recipe, "data": None}, run.split, knees, run.predictions.grades.tolist()

    return all(identity(run) == identity(published[0]) for run in [*published, *trainings])
