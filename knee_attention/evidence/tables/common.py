"""What the paper's tables with ours beside them have in common."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.intervals import bootstrap_intervals, paired_differences
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.report import markup
from knee_attention.evidence.report.page import page
from knee_attention.evidence.result_lines import with_interval

Finished = dict[tuple[str, str], list[FinishedRun]]
"""The trainings of each experiment, by backbone and variant."""

CHOSEN = "chosen"


def mean_metrics(trainings: list[FinishedRun], output: str, metrics: tuple[str, ...]) -> dict:
    """What the trainings of one experiment reach together by one output.

    Args:
        trainings: with one seed each.
        output: which.
        metrics: names of `grade_metrics`.

    Returns:
        `chosen` (how many trainings chose the output), `trainings`, the mean `accuracy`, its 95%
        interval `low` and `high` over persons (None where trainings saw different knees), its
        `spread` (standard deviation over trainings), the means of the metrics, `parameters`,
        `minutes` a training.
    """
    found = [grade_metrics(t.predictions.grades, t.predictions.of(output)) for t in trainings]
    accuracies = [values["accuracy"] for values in found]
    first = trainings[0].predictions
    low = high = None
    if same_knees(trainings):
        stack = np.stack([training.predictions.of(output) for training in trainings])
        interval = bootstrap_intervals(first.grades, stack, first.subjects)["accuracy"]
        low, high = interval or (None, None)
    return {
        "chosen": sum(training.chosen == output for training in trainings),
        "trainings": len(trainings),
        "accuracy": np.mean(accuracies),
        "low": low,
        "high": high,
        "spread": np.std(accuracies, ddof=1) if len(accuracies) > 1 else None,
        **{name: mean([values[name] for values in found]) for name in metrics},
        "parameters": trainings[0].results["parameters"],
        "minutes": np.mean([training.minutes for training in trainings]),
    }


def same_knees(trainings: list[FinishedRun]) -> bool:
    """Whether all trainings report the same knees."""
    return all(t.predictions.files == trainings[0].predictions.files
               and np.array_equal(t.predictions.grades, trainings[0].predictions.grades)
               for t in trainings)  # fmt: skip


def mean(values: list) -> float | None:
    """The mean; None where a value is."""
    return None if any(value is None for value in values) else float(np.mean(values))


def compared(first: list[FinishedRun], second: list[FinishedRun]) -> str:
    """The difference of accuracy on the same knees, each by the output that validation chose, with
    its paired interval, in words. A single training is said: its own chance is not in the interval.
    """
    found = paired_differences(
        [by_chosen(training) for training in first], CHOSEN,
        [by_chosen(training) for training in second], CHOSEN,
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
    if min(len(first), len(second)) == 1:
        verdict += f" (trainings: {len(first)} against {len(second)})"
    return f"{with_interval(found['difference'], found['interval'], '+')}, {verdict}"


def unlike(finished: Finished) -> list[str]:
    """A sentence on the experiments whose trainings saw different knees, if there are any."""
    names = [t[0].results["name"] for t in finished.values() if not same_knees(t)]
    return [f"no interval and no comparison of {', '.join(names)}: each training saw other knees, "
            "as every seed draws its own phantoms"] if names else []


def by_chosen(training: FinishedRun) -> Predictions:
    """The predictions of the output that validation chose, under the name `chosen`."""
    known = training.predictions
    values = {CHOSEN: known.of(training.chosen)}
    return Predictions(known.files, known.subjects, known.grades, values)


def cell(row: pd.Series, name: str, digits: int = 3, factor: float = 1) -> str:
    """A number as a reader wants it, nothing where there is none."""
    return "" if pd.isna(row[name]) else f"{factor * row[name]:.{digits}f}"


def accuracy_cells(row: pd.Series) -> dict[str, str]:
    """Accuracy in %, its interval and spread, the paper's and the difference."""
    accuracy = cell(row, "accuracy", 1, 100)
    if pd.notna(row["low"]):
        accuracy += f" [{cell(row, 'low', 1, 100)}, {cell(row, 'high', 1, 100)}]"
    difference = row["accuracy"] - row["paper"]
    return {
        "accuracy, %": accuracy,
        "trainings": f"{row['trainings']}" if row["trainings"] > 1 else "",
        "± trainings": cell(row, "spread", 1, 100),
        "paper, %": cell(row, "paper", 1, 100),
        "difference": "" if pd.isna(difference) else f"{100 * difference:+.1f}",
    }


def without_empty_columns(rows: list[dict]) -> pd.DataFrame:
    """Cells of text as a table, of columns that say something."""
    text = pd.DataFrame(rows)
    return text.drop(columns=[name for name in text if (text[name] == "").all()])


def as_markdown(heading: str, text: pd.DataFrame, notes: list[str]) -> str:
    """A table of text in Markdown, under a sentence and above a list of notes."""
    table = markdown_rows(list(text.columns), text.to_numpy().tolist())
    return f"{heading}\n\n{table}\n" + "".join(f"- {note}\n" for note in notes)


def markdown_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells of text as a table in Markdown, a line a row."""
    cells = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def as_html(title: str, heading: str, text: pd.DataFrame, notes: list[str]) -> str:
    """A table of text as a page in the report's style, with a sentence above and notes below."""
    rows = [markup.row(*cells) for cells in text.to_numpy().tolist()]
    table = markup.table(text.columns, rows, title, class_="numbers")
    items = (markup.element("li", note) for note in notes)
    body = (markup.element("h1", title), markup.element("p", heading), table,
            markup.element("ul", *items))  # fmt: skip
    return page(title, *body)
