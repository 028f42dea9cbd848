"""The paper's Table 2 with our results: multi-loss VGG-16 and Antony's two networks."""

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.paper import PAPER_TABLE_2, TABLE_2_TITLES
from knee_attention.evidence.tables.common import (
    PAPER_SOURCE,
    Finished,
    accuracy_cells,
    cell,
    compared,
    mean,
    mean_metrics,
    same_knees,
    unlike,
    without_empty_columns,
)
from knee_attention.limits import GRADES, REGRESSION

TITLE = "Table 2 of the paper, with our results"
SOURCE = PAPER_SOURCE.format("Table 2")

BESIDE = ("balanced_accuracy", "kappa", "kappa_linear", "kappa_quadratic", "mean_absolute_error")


def rows(finished: Finished) -> pd.DataFrame:
    """One row for every output of the three networks.

    Args:
        finished: `{(backbone, variant): trainings}`; experiments that Table 2 lacks are ignored.

    Returns:
        Columns `backbone`, `variant`, `output`, those of `mean_metrics` with the metrics of
        `BESIDE`, `loss` (cross-entropy; squared error for the regression), and the paper's
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
        **mean_metrics(trainings, output, BESIDE),
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
    """The paper's claim, a sentence for each of Antony's networks: the difference of accuracy to
    VGG-16 multi-loss on the same knees, with its paired interval.
    """
    sentences = []
    *baselines, attention = TABLE_2_TITLES
    multi = finished.get(attention)
    for key in baselines:
        rival = finished.get(key)
        if multi and rival and same_knees([*multi, *rival]):
            ours, theirs = TABLE_2_TITLES[attention], TABLE_2_TITLES[key]
            sentences.append(f"{ours} against {theirs}: {compared(multi, rival)}")
    sentences += unlike(finished)
    sentences.append("the paper's parameters of Antony's networks include the localiser (212,769); "
                     "ours do not")
    return sentences


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with accuracies in %."""
    text = []
    for _, row in table.iterrows():
        squared = " (squared error)" if row["output"] == REGRESSION else ""
        text.append({
            "model": TABLE_2_TITLES[row["backbone"], row["variant"]],
            "output": row["output"],
            **accuracy_cells(row),
            "balanced, %": cell(row, "balanced_accuracy", 1, 100),
            "loss": cell(row, "loss") + squared,
            "paper, loss": cell(row, "paper_loss"),
            "kappa": cell(row, "kappa"),
            "linear": cell(row, "kappa_linear"),
            "quadratic": cell(row, "kappa_quadratic"),
            "paper, kappa": cell(row, "paper_kappa", 2),
            "MAE": cell(row, "mean_absolute_error", 2),
            "parameters": f"{row['parameters']:,}",
            "paper, millions": cell(row, "paper_parameters", 2, 1e-6),
            "minutes": cell(row, "minutes", 1),
        })  # fmt: skip
    return without_empty_columns(text)
