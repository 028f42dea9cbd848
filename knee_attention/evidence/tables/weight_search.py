"""The search for the weights of a multi-loss (paper, section 3.3): what each cell reaches."""

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.limits import digits

PAPER_CHOICE = (1.0, 0.8)
"""Weights of the shallower and of the deeper branch's loss that the paper settled on."""

Weights = tuple[float, float]


def weight_table(found: dict[Weights, list[FinishedRun]]) -> pd.DataFrame:
    """One row for every training of every cell, by validation.

    Sums of losses with different weights are different measures, so each branch's own loss and
    accuracy stand beside the sum.

    Args:
        found: `{(w0, w1): trainings}`, a training a seed.

    Returns:
        Columns `w0`, `w1`, `seed`, `weighted_loss` (the sum that the training watched),
        `<branch>_loss` and `<branch>_accuracy` of both branches, and `accuracy` of the branch
        with the lower loss.
    """
    rows = []
    for (w0, w1), trainings in sorted(found.items()):
        for training in trainings:
            branches = training.experiment["branches"]
            measured = {branch: training.results["validation"][branch] for branch in branches}
            losses = [measured[branch]["cross_entropy"] for branch in branches]
            row = {"w0": w0, "w1": w1, "seed": training.experiment["seed"]}
            row["weighted_loss"] = float(np.dot([w0, w1], losses))
            for branch, metrics in measured.items():
                row[f"{branch}_loss"] = metrics["cross_entropy"]
                row[f"{branch}_accuracy"] = metrics["accuracy"]
            row["accuracy"] = measured[branches[int(np.argmin(losses))]]["accuracy"]
            rows.append(row)
    return pd.DataFrame(rows)


def measures(table: pd.DataFrame) -> list[str]:
    """The columns of a weight table that measure something."""
    return [name for name in table if name.endswith(("loss", "accuracy"))]


def grid_of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure's mean over seeds: rows `w1` from the highest, columns `w0`; NaN where not run."""
    means = table.groupby(["w1", "w0"])[measure].mean().unstack("w0")
    return means.sort_index(ascending=False)


def best_of(table: pd.DataFrame, measure: str) -> list[Weights]:
    """The weights at which a measure is best on the mean over seeds; accuracies may tie."""
    means = table.groupby(["w0", "w1"])[measure].mean()
    best = means.max() if measure.endswith("accuracy") else means.min()
    return list(means.index[means == best])


def sentence(table: pd.DataFrame, measure: str) -> str:
    """How far the paper's choice is from the best by one measure, and how much it varies."""
    cells = table.groupby(["w0", "w1"])[measure]
    means, spreads = cells.mean(), cells.std().dropna()
    (w0, w1), *others = best_of(table, measure)
    best = means.loc[(w0, w1)]
    name = measure.replace("_", " ")
    said = f"The best validation {name} is {best:.3f}, at w0 {digits(w0)} and w1 {digits(w1)}"
    if others:
        said += f", and at {len(others)} other{'s' if len(others) > 1 else ''}"
    if PAPER_CHOICE in means.index:
        paper = means.loc[PAPER_CHOICE]
        said += f"; the paper's 1.0 and 0.8 have {paper:.3f}, {abs(paper - best):.3f} off"
    if len(spreads):
        said += (f". It varies by {spreads.mean():.3f} (standard deviation) over seeds and by "
                 f"{means.std():.3f} over the cells")
    return f"{said}."


def paragraph(table: pd.DataFrame) -> str:
    """How far the paper's choice is from the best by every measure, and whether seeds matter more
    than weights.

    Args:
        table: as `weight_table` gives it.
    """
    sentences = ["The weighted loss is another measure in every cell; the branches' own compare."]
    sentences += [sentence(table, measure) for measure in measures(table)]
    if not table.duplicated(["w0", "w1"]).any():
        sentences.append("With one seed a cell nobody can tell chance from weights.")
    return " ".join(sentences)
