"""The paper's Table 2 with our results: multi-loss VGG-16 and Antony's two networks."""

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.paper import PAPER_TABLE_2, TABLE_2_TITLES
from knee_attention.evidence.tables.common import (
    PAPER_SOURCE,
    Finished,
    claims_against,
    mean,
    mean_metrics,
    text_of,
)
from knee_attention.limits import GRADES, REGRESSION

TITLE = "Table 2 of the paper, with our results"
SOURCE = PAPER_SOURCE.format("Table 2")

FURTHER_METRICS = ("balanced_accuracy", "kappa", "kappa_linear", "kappa_quadratic",
                   "mean_absolute_error")  # fmt: skip


def rows(finished: Finished) -> pd.DataFrame:
    """One row for every output of the three networks.

    Args:
        finished: `{(backbone, variant): trainings}`; experiments that Table 2 lacks are ignored.

    Returns:
        Columns `backbone`, `variant`, `output`, those of `mean_metrics` with the metrics of
        `FURTHER_METRICS`, `loss` (cross-entropy; squared error for the regression), and the paper's
        `paper` (accuracy), `paper_loss`, `paper_kappa`, `paper_parameters`.
    """
    found = []
    for key in TABLE_2_TITLES:
        for output in finished[key][0].predictions.probabilities if key in finished else ():
            found.append(_row(key, output, finished[key]))
    return pd.DataFrame(found)


def _row(key: tuple[str, str], output: str, trainings: list[FinishedRun]) -> dict:
    paper = PAPER_TABLE_2[key].get(output, {})
    return {
        "backbone": key[0],
        "variant": key[1],
        "output": output,
        **mean_metrics(trainings, output, FURTHER_METRICS),
        "loss": mean([_loss(training, output) for training in trainings]),
        "paper": paper["accuracy"] / 100 if paper else None,
        "paper_loss": paper.get("loss"),
        "paper_kappa": paper.get("kappa"),
        "paper_parameters": paper.get("parameters"),
    }


def _loss(training: FinishedRun, output: str) -> float:
    if output != REGRESSION:
        return training.outputs[output]["cross_entropy"]
    predicted = training.predictions.of(output) @ np.array(GRADES)
    return float(np.mean((predicted - training.predictions.grades) ** 2))


def claims(finished: Finished) -> list[str]:
    """The paper's claim, a sentence for each of Antony's networks: the difference of accuracy of
    VGG-16 multi-loss to it; and a note about parameters.
    """
    ours = list(TABLE_2_TITLES)[-1]
    return [*claims_against(finished, TABLE_2_TITLES, ours),
            "the paper's parameters of Antony's networks include the localiser (212,769); ours do "
            "not"]  # fmt: skip


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with accuracies in %."""
    def first_cells(row: pd.Series) -> dict[str, str]:
        return {"model": TABLE_2_TITLES[row["backbone"], row["variant"]], "output": row["output"]}

    text = text_of(table, first_cells, (
        "balanced, %", "loss", "paper, loss", "kappa", "linear", "quadratic", "paper, kappa", "MAE",
        "parameters", "paper, millions", "minutes",
    ))  # fmt: skip
    if not text.empty:
        text.loc[(table["output"] == REGRESSION).to_numpy(), "loss"] += " (squared error)"
    return text
