"""What the tables of experiments share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from knee_attention.evidence.finished_run import OF_PROBABILITIES, FinishedRun
from knee_attention.evidence.intervals import bootstrap_intervals, paired_differences
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.report import markup
from knee_attention.evidence.report.page import page
from knee_attention.evidence.result_lines import with_interval
from knee_attention.limits import REGRESSION

FEW = ("model", "network", "branch", "output", "accuracy, %", "trainings", "paper, %", "loss",
       "quadratic", "quadratic kappa", "published band, %")  # fmt: skip
"""The columns of a table that fit on a screen."""

Finished = dict[tuple[str, str], list[FinishedRun]]
"""`{(backbone, variant): trainings}`."""

CHOSEN = "chosen"

PAPER_SOURCE = "Paper: {}, test accuracy on its own selection of OAI and MOST films."
"""Where the paper's numbers come from."""


def mean_metrics(trainings: list[FinishedRun], output: str, metrics: tuple[str, ...]) -> dict:
    """The mean metrics of one output over the trainings of an experiment.

    Args:
        trainings: trainings with different seeds.
        output: the name of the output.
        metrics: names of `grade_metrics`.

    Returns:
        `chosen` (the number of trainings that chose the output), `trainings`, the mean `accuracy`,
        its 95% interval `low` and `high` over persons (None if the trainings have different
        knees), its `spread` (standard deviation over trainings), the mean of each metric,
        `parameters`, and the mean `minutes`.
    """
    found = [grade_metrics(t.predictions.grades, t.predictions.of(output)) for t in trainings]
    if output == REGRESSION:
        found = [values | dict.fromkeys(OF_PROBABILITIES) for values in found]
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
    """Whether the predictions of all trainings are for the same knees."""
    return all(t.predictions.files == trainings[0].predictions.files
               and np.array_equal(t.predictions.grades, trainings[0].predictions.grades)
               for t in trainings)  # fmt: skip


def have_own_phantoms(trainings: list[FinishedRun]) -> bool:
    """Whether the trainings have different knees because every seed draws its own phantoms."""
    return (
        any(training.synthetic for training in trainings)
        and len({training.experiment["seed"] for training in trainings}) > 1
    )  # fmt: skip


def mean(values: list) -> float | None:
    """The mean; None if a value is None."""
    return None if any(value is None for value in values) else float(np.mean(values))


def compared(first: list[FinishedRun], second: list[FinishedRun]) -> str:
    """Text: the difference of accuracy on the same knees, with its paired interval.

    Each training is represented by its chosen output. The text gives the numbers of trainings if
    one is 1, because the interval then lacks the variation over trainings.
    """
    found = paired_differences(
        [by_chosen(training) for training in first], CHOSEN,
        [by_chosen(training) for training in second], CHOSEN,
    )["metrics"]["accuracy"]  # fmt: skip
    if found is None:
        return "no interval for a single person"
    low, high = found["interval"]
    if low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    else:
        verdict = "no significant difference"
    if min(len(first), len(second)) == 1:
        verdict += f" (trainings: {len(first)} against {len(second)})"
    return f"{with_interval(found['difference'], found['interval'], '+')}, {verdict}"


def claims_against(
    finished: Finished, titles: Mapping[tuple[str, str], str], ours: tuple[str, str]
) -> list[str]:
    """Sentences on the accuracy of our network minus that of every other one of a table, on the
    same knees with paired intervals; and those of `unlike`.

    Args:
        finished: `{(backbone, variant): trainings}`.
        titles: `{(backbone, variant): title}` of the networks.
        ours: our network's key.
    """
    sentences, own = [], finished.get(ours)
    for key, title in titles.items():
        rival = finished.get(key)
        if key != ours and own and rival and same_knees([*own, *rival]):
            sentences.append(f"{titles[ours]} against {title}: {compared(own, rival)}")
    return sentences + unlike(finished)


def unlike(finished: Finished) -> list[str]:
    """A sentence about experiments whose trainings have different knees, if there are any."""
    names = [t[0].results["name"] for t in finished.values() if not same_knees(t)]
    return [f"no interval and no comparison of {', '.join(names)}: the trainings have different "
            "knees, because every seed draws its own phantoms"] if names else []


def by_chosen(training: FinishedRun) -> Predictions:
    """The predictions of the chosen output, under the name `chosen`."""
    known = training.predictions
    return replace(known, probabilities={CHOSEN: known.of(training.chosen)})


def cell(row: pd.Series, name: str, digits: int = 3, factor: float = 1) -> str:
    """A number with this many digits, times a factor; empty if it is missing."""
    return "" if pd.isna(row[name]) else f"{factor * row[name]:.{digits}f}"


def accuracy_cells(row: pd.Series) -> dict[str, str]:
    """Cells: accuracy in % with interval, trainings, spread, the paper's accuracy, difference, and
    the published band, if the table has bands."""
    accuracy = cell(row, "accuracy", 1, 100)
    if pd.notna(row["low"]):
        accuracy += f" [{cell(row, 'low', 1, 100)}, {cell(row, 'high', 1, 100)}]"
    difference = row["accuracy"] - row["paper"]
    band = ""
    if pd.notna(row.get("band_low")):
        band = f"{cell(row, 'band_low', 1, 100)} to {cell(row, 'band_high', 1, 100)}"
        band += f", OUTSIDE: seed {row['outside']}" if row["outside"] else ""
    return {
        "accuracy, %": accuracy,
        "trainings": f"{row['trainings']}" if row["trainings"] > 1 else "",
        "± trainings": cell(row, "spread", 1, 100),
        "paper, %": cell(row, "paper", 1, 100),
        "difference": "" if pd.isna(difference) else f"{100 * difference:+.1f}",
        "published band, %": band,
    }


CELLS = {
    "balanced, %": ("balanced_accuracy", 1, 100),
    "loss": ("loss",),
    "paper, loss": ("paper_loss",),
    "kappa": ("kappa",),
    "linear": ("kappa_linear",),
    "quadratic": ("kappa_quadratic",),
    "quadratic kappa": ("kappa_quadratic",),
    "paper, kappa": ("paper_kappa", 2),
    "MAE": ("mean_absolute_error", 2),
    "OA AUC": ("oa_auc",),
    "on / off joint": ("attention", 2),
    "paper, millions": ("paper_parameters", 2, 1e-6),
    "minutes": ("minutes", 1),
}
"""Arguments of `cell` by the title of a column."""


def text_of(
    table: pd.DataFrame,
    first_cells: Callable[[pd.Series], dict[str, str]],
    columns: Sequence[str],
) -> pd.DataFrame:
    """A table as text, with accuracies in %, without empty columns.

    Args:
        table: one row an output, as the tables have them.
        first_cells: from a row to its cells before the accuracy, by title.
        columns: titles of the cells after the accuracy: `parameters`, or a key of `CELLS`.
    """
    text = pd.DataFrame([
        first_cells(row) | accuracy_cells(row) | {
            title: f"{row['parameters']:,}" if title == "parameters" else cell(row, *CELLS[title])
            for title in columns
        }
        for _, row in table.iterrows()
    ])  # fmt: skip
    return text.drop(columns=[name for name in text if (text[name] == "").all()])


def few_columns(text: pd.DataFrame) -> pd.DataFrame:
    """The columns of a table of text that fit on a screen, in their order."""
    return text[[name for name in text if name in FEW]]


def as_markdown(heading: str, text: pd.DataFrame, notes: list[str]) -> str:
    """A Markdown page: a heading, a table and a list of notes."""
    table = ""
    if not text.empty:
        table = f"{markdown_rows(list(text.columns), text.to_numpy().tolist())}\n\n"
    return f"{heading}\n\n{table}" + "".join(f"- {note}\n" for note in notes)


def markdown_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, without a line break at its end."""
    cells = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def as_html(title: str, heading: str, text: pd.DataFrame, notes: list[str]) -> str:
    """An HTML page in the style of the report: a heading, a table and a list of notes."""
    rows = [markup.row(*cells) for cells in text.to_numpy().tolist()]
    table = markup.table(text.columns, rows, title, class_="numbers")
    items = (markup.element("li", note) for note in notes)
    body = (markup.element("h1", title), markup.element("p", heading), table,
            markup.element("ul", *items))  # fmt: skip
    return page(title, *body)
