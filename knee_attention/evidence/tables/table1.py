"""The paper's Table 1 with our results: one row an output, means over trainings."""

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.paper import (
    BACKBONE_TITLES,
    PAPER_TABLE_1,
    VARIANT_TITLES,
    paper_accuracies,
)
from knee_attention.evidence.tables.common import (
    PAPER_SOURCE,
    Finished,
    compared,
    mean,
    mean_metrics,
    same_knees,
    text_of,
    unlike,
)

TITLE = "Table 1 of the paper, with our results"
SOURCE = PAPER_SOURCE.format("Table 1")

FURTHER_METRICS = ("balanced_accuracy", "kappa", "kappa_quadratic", "mean_absolute_error", "oa_auc")


def rows(finished: Finished) -> pd.DataFrame:
    """One row for every output of every experiment, in the paper's order.

    Args:
        finished: `{(backbone, variant): trainings}`; experiments that Table 1 lacks are ignored.

    Returns:
        Columns `backbone`, `variant`, `output`, those of `mean_metrics` with the metrics of
        `FURTHER_METRICS`, `paper`, `difference`, and `attention` (attention inside the joint over
        attention outside; None if it was not measured).
    """
    found = []
    for backbone, variants in PAPER_TABLE_1.items():
        for variant in variants:
            trainings = finished.get((backbone, variant))
            if not trainings:
                continue
            for output, accuracy in paper_accuracies(backbone, variant).items():
                found.append(
                    {"backbone": backbone, "variant": variant, "output": output}
                    | _row(trainings, output, accuracy)
                )
    return pd.DataFrame(found)


def _row(trainings: list[FinishedRun], output: str, paper: float) -> dict:
    found = mean_metrics(trainings, output, FURTHER_METRICS)
    attention = [t.results.get("localisation", {}).get(output) for t in trainings]
    return found | {
        "paper": paper,
        "difference": found["accuracy"] - paper,
        "attention": mean([scores and scores["inside_over_outside"] for scores in attention]),
    }


def claims(finished: Finished) -> list[str]:
    """The paper's two claims for each backbone, a sentence each, with paired intervals.

    The claims compare multi-loss with early fusion and with the best single branch, that with the
    lowest validation loss: differences of accuracy on the same knees, for the chosen outputs.
    """
    sentences = []
    multiloss, early_fusion = VARIANT_TITLES["multiloss"], VARIANT_TITLES["early_fusion"]
    for backbone, title in BACKBONE_TITLES.items():
        multi = finished.get((backbone, "multiloss"))
        singles = [
            finished[backbone, variant]
            for variant in PAPER_TABLE_1[backbone]
            if variant not in VARIANT_TITLES and (backbone, variant) in finished
        ]
        rivals = {early_fusion: finished.get((backbone, "early_fusion"))}
        if singles:
            best = min(singles, key=_validation_loss)
            rivals[f"its best single branch, {best[0].results['chosen']}"] = best
        for name, rival in rivals.items():
            if multi and rival and same_knees([*multi, *rival]):
                sentences.append(f"{title}: {multiloss} against {name}: {compared(multi, rival)}")
    return sentences + unlike(finished)


def _validation_loss(trainings: list[FinishedRun]) -> float:
    return float(np.mean([
        training.results["validation"][training.chosen]["cross_entropy"]
        for training in trainings
    ]))  # fmt: skip


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with accuracies in %."""
    def first_cells(row: pd.Series) -> dict[str, str]:
        variant = VARIANT_TITLES.get(row["variant"])
        return {"model": BACKBONE_TITLES[row["backbone"]],
                "branch": f"{variant} {row['output']}" if variant else row["output"]}  # fmt: skip

    return text_of(table, first_cells, ("balanced, %", "kappa", "quadratic", "MAE", "OA AUC",
                                        "on / off joint", "parameters", "minutes"))  # fmt: skip
