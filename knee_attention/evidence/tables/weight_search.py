"""The search for the weights of a multi-loss (paper, section 3.3): the results of each cell."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.limits import digits

PAPER_CHOICE = (1.0, 0.8)
"""The paper's weights of the losses of the shallower and the deeper branch."""

Weights = tuple[float, float]


def weight_table(trainings: Iterable[FinishedRun]) -> pd.DataFrame:
    """The validation results of a search.

    Sums of losses with different weights are not comparable. So the table also holds the loss and
    the accuracy of each branch.

    Args:
        trainings: trainings of one experiment with two losses.

    Returns:
        One row a training, sorted by weights and seed. Columns: `w0`, `w1`, `seed`,
        `weighted_loss` (the loss of the training), `<branch>_loss` and `<branch>_accuracy` of
        both branches, and `accuracy`, that of the branch with the lower loss.
    """
    rows = []
    for training in trainings:
        branches, (w0, w1) = training.experiment["branches"], training.experiment["loss_weights"]
        measured = {branch: training.results["validation"][branch] for branch in branches}
        losses = [measured[branch]["cross_entropy"] for branch in branches]
        row = {"w0": w0, "w1": w1, "seed": training.experiment["seed"]}
        row["weighted_loss"] = float(np.dot([w0, w1], losses))
        for branch, metrics in measured.items():
            row[f"{branch}_loss"] = metrics["cross_entropy"]
            row[f"{branch}_accuracy"] = metrics["accuracy"]
        row["accuracy"] = measured[branches[int(np.argmin(losses))]]["accuracy"]
        rows.append(row)
    return pd.DataFrame(sorted(rows, key=lambda row: (row["w0"], row["w1"], row["seed"])))


def measures(table: pd.DataFrame) -> list[str]:
    """The columns of a weight table that are losses or accuracies."""
    return [name for name in table if name.endswith(("loss", "accuracy"))]


def grid_of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The mean of a measure over seeds.

    Returns:
        rows: `w1`, the highest first; columns: `w0`; NaN in cells without a training.
    """
    means = table.groupby(["w1", "w0"])[measure].mean().unstack("w0")
    return means.sort_index(ascending=False)


def best_of(table: pd.DataFrame, measure: str) -> list[Weights]:
    """The weights with the best mean over seeds; several if accuracies are equal."""
    means = table.groupby(["w0", "w1"])[measure].mean()
    best = means.max() if measure.endswith("accuracy") else means.min()
    return list(means.index[means == best])


def sentence(table: pd.DataFrame, measure: str) -> str:
    """Text: the best cell by a measure, the paper's cell, and the spread over seeds and cells."""
    cells = table.groupby(["w0", "w1"])[measure]
    means, spreads = cells.mean(), cells.std().dropna()
    (w0, w1), *others = best_of(table, measure)
    best = means.loc[(w0, w1)]
    name = measure.replace("_", " ")
    text = f"The best validation {name} is {best:.3f}, at w0 {digits(w0)} and w1 {digits(w1)}"
    if others:
        text += f", and at {len(others)} other{'s' if len(others) > 1 else ''}"
    if PAPER_CHOICE in means.index:
        paper = means.loc[PAPER_CHOICE]
        text += (f"; the paper's 1.0 and 0.8 have {paper:.3f}, a difference of "
                 f"{abs(paper - best):.3f}")
    if len(spreads):
        text += f". The standard deviation is {spreads.mean():.3f} over seeds"
        if len(means) > 1:
            text += f" and {means.std():.3f} over cells"
    return f"{text}."


def paragraph(table: pd.DataFrame) -> str:
    """Text: `sentence` for every measure.

    Args:
        table: the table that `weight_table` returns.
    """
    sentences = ["Weighted losses of different cells are different measures; the losses of the "
                 "branches can be compared."]
    sentences += [sentence(table, measure) for measure in measures(table)]
    if not table.duplicated(["w0", "w1"]).any():
        sentences.append("With one seed in each cell, chance and the effect of the weights cannot "
                         "be separated.")
    return " ".join(sentences)
