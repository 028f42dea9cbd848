"""The paper's Table 1 with ours beside it: one row an output, means over trainings."""

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.intervals import bootstrap_intervals, paired_differences
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.paper import (
    BACKBONE_TITLES,
    PAPER_TABLE_1,
    VARIANT_TITLES,
    paper_accuracies,
)
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.report import markup
from knee_attention.evidence.report.page import page
from knee_attention.evidence.result_lines import with_interval

BESIDE = ("balanced_accuracy", "kappa", "kappa_quadratic", "mean_absolute_error", "oa_auc")
CHOSEN = "chosen"


def table_1(finished: dict[tuple[str, str], list[FinishedRun]]) -> pd.DataFrame:
    """One row for every output of every experiment, in the paper's order.

    Args:
        finished: `{(backbone, variant): trainings}`; those of other experiments are left out.

    Returns:
        Columns `backbone`, `variant`, `output`, `chosen` (how many trainings chose it),
        `trainings`, `accuracy`, its 95% interval `low` and `high` over persons (empty where
        trainings saw different knees), `spread` (standard deviation over trainings), `paper`,
        `difference`, the metrics of `BESIDE`, `attention` (inside over outside the joint, where
        that is known), `parameters`, `minutes` a training.
    """
    rows = []
    for backbone, variants in PAPER_TABLE_1.items():
        for variant in variants:
            trainings = finished.get((backbone, variant))
            if not trainings:
                continue
            for output, accuracy in paper_accuracies(backbone, variant).items():
                rows.append(
                    {"backbone": backbone, "variant": variant, "output": output}
                    | _row(trainings, output, accuracy)
                )
    return pd.DataFrame(rows)


def _row(trainings: list[FinishedRun], output: str, paper: float) -> dict:
    metrics = [grade_metrics(t.predictions.grades, t.predictions.of(output)) for t in trainings]
    accuracies = [values["accuracy"] for values in metrics]
    first = trainings[0].predictions
    low = high = None
    if same_knees(trainings):
        stack = np.stack([training.predictions.of(output) for training in trainings])
        interval = bootstrap_intervals(first.grades, stack, first.subjects)["accuracy"]
        low, high = interval or (None, None)
    attention = [t.results.get("localisation", {}).get(output) for t in trainings]
    return {
        "chosen": sum(training.chosen == output for training in trainings),
        "trainings": len(trainings),
        "accuracy": np.mean(accuracies),
        "low": low,
        "high": high,
        "spread": np.std(accuracies, ddof=1) if len(accuracies) > 1 else None,
        "paper": paper,
        "difference": np.mean(accuracies) - paper,
        **{name: _mean([values[name] for values in metrics]) for name in BESIDE},
        "attention": _mean([scores and scores["inside_over_outside"] for scores in attention]),
        "parameters": trainings[0].results["parameters"],
        "minutes": np.mean([training.minutes for training in trainings]),
    }


def same_knees(trainings: list[FinishedRun]) -> bool:
    """Whether all trainings report the same knees."""
    return all(t.predictions.files == trainings[0].predictions.files
               and np.array_equal(t.predictions.grades, trainings[0].predictions.grades)
               for t in trainings)  # fmt: skip


def _mean(values: list) -> float | None:
    return None if any(value is None for value in values) else float(np.mean(values))


def claims(finished: dict[tuple[str, str], list[FinishedRun]]) -> list[str]:
    """The paper's two claims as one sentence a backbone each, with paired intervals.

    Multi-loss against the best single branch and against early fusion: differences of accuracy on
    the same knees, each by the output that validation chose.
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
                sentences.append(f"{title}: {multiloss} against {name}: {_compared(multi, rival)}")
    return sentences


def _validation_loss(trainings: list[FinishedRun]) -> float:
    return float(np.mean([
        training.results["validation"][training.chosen]["cross_entropy"]
        for training in trainings
    ]))  # fmt: skip


def _by_chosen(training: FinishedRun) -> Predictions:
    """The predictions of the output that validation chose, under the name `chosen`."""
    known = training.predictions
    values = {CHOSEN: known.of(training.chosen)}
    return Predictions(known.files, known.subjects, known.grades, values)


def _compared(first: list[FinishedRun], second: list[FinishedRun]) -> str:
    found = paired_differences(
        [_by_chosen(training) for training in first], CHOSEN,
        [_by_chosen(training) for training in second], CHOSEN,
    )["metrics"]["accuracy"]  # fmt: skip
    if found is None:
        return "a single person has no interval"
    low, high = found["interval"]
    if low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    else:
        verdict = "no difference can be told"
    return f"{with_interval(found['difference'], found['interval'], '+')}, {verdict}"


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table's cells as a reader wants them, accuracies in %."""

    def cell(row, name, digits=3, factor=1):
        return "" if pd.isna(row[name]) else f"{factor * row[name]:.{digits}f}"

    rows = []
    for _, row in table.iterrows():
        accuracy = cell(row, "accuracy", 1, 100)
        if pd.notna(row["low"]):
            accuracy += f" [{cell(row, 'low', 1, 100)}, {cell(row, 'high', 1, 100)}]"
        variant = VARIANT_TITLES.get(row["variant"])
        rows.append({
            "model": BACKBONE_TITLES[row["backbone"]],
            "branch": f"{variant} {row['output']}" if variant else row["output"],
            "accuracy, %": accuracy,
            "± trainings": cell(row, "spread", 1, 100),
            "paper, %": cell(row, "paper", 1, 100),
            "difference": f"{100 * row['difference']:+.1f}",
            "balanced, %": cell(row, "balanced_accuracy", 1, 100),
            "kappa": cell(row, "kappa"),
            "quadratic": cell(row, "kappa_quadratic"),
            "MAE": cell(row, "mean_absolute_error", 2),
            "OA AUC": cell(row, "oa_auc"),
            "on / off joint": cell(row, "attention", 2),
            "parameters": f"{row['parameters']:,}",
            "minutes": cell(row, "minutes", 1),
        })  # fmt: skip
    text = pd.DataFrame(rows)
    return text.drop(columns=[name for name in text if (text[name] == "").all()])


def as_markdown(heading: str, text: pd.DataFrame, notes: list[str]) -> str:
    """A table of text in Markdown, under a sentence and above a list of notes."""
    cells = [list(text.columns), ["---"] * len(text.columns), *text.to_numpy().tolist()]
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([heading, "", *lines, "", *(f"- {note}" for note in notes)]) + "\n"


def as_html(heading: str, text: pd.DataFrame, notes: list[str]) -> str:
    """A table of text as a page in the report's style, with a sentence above and notes below."""
    rows = [markup.row(*cells) for cells in text.to_numpy().tolist()]
    table = markup.table(text.columns, rows, "Table 1", class_="numbers")
    items = (markup.element("li", note) for note in notes)
    body = (markup.element("h1", "Table 1"), markup.element("p", heading), table,
            markup.element("ul", *items))  # fmt: skip
    return page("Table 1", *body)
