"""The README of a folder of published runs."""

from pathlib import Path

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.result_lines import audit_heading, audit_text
from knee_attention.evidence.robustness import robustness_heading, robustness_text
from knee_attention.evidence.tables.common import CHOSEN, by_chosen, markdown_rows, mean
from knee_attention.evidence.tables.findings import Finding
from knee_attention.files import read_json
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.published_runs import by_experiment
from knee_attention.runs.finished.published_set import (
    ATTENTION,
    AUDITS,
    HISTORIES,
    KNEES,
    METRICS,
    RUNS,
    PublishedSet,
)
from knee_attention.runs.sweeps.cells import without_seed
from knee_attention.runs.sweeps.tables import published_table, rules_of
from knee_attention.runs.sweeps.weight_search import published_search

AUDIT = "audit.json"
ROBUSTNESS = "robustness.json"
OTHER_HOSPITALS = "other_hospitals.csv"

FILES = {
    RUNS: "One row a run: name, options (experiment.json), parameters, reported split, chosen "
    "output (that with the lowest validation loss) and its accuracy and kappas, minutes, device, "
    "versions, commit, command. Lists are JSON.",
    METRICS: "One row for each run, split and output: all metrics, with 95% intervals over "
    "persons in `_low` and `_high`.",
    ATTENTION: "One row for each run, joint mask and branch: scores of the attention. `exact` and "
    "`widened` are the joint spaces as drawn and half a cell wider; `averaged` compares the mean "
    "attention mask of all knees; `phantom` and `displaced` are joints whose place is known.",
    AUDITS: "One row for each run, branch, mask and measure of `knee-attention audit`: the mean "
    "over knees, with 95% intervals over persons in `_low` and `_high`. `own_minus_this` is the "
    "value with each knee's own mask minus the value with this mask.",
    HISTORIES: "One row an epoch: seconds, losses, accuracies, learning rate.",
    KNEES: "One row a knee: file, subject, true grade, split.",
    "predictions": "One file for all runs with the same `name` in runs.csv, one row a knee: file, "
    "true grade, and the probability of each grade in `<run>/<output>_p<grade>`.",
    "inverted.csv": "Images that were photographic negatives; the trainings inverted them.",
    "trimmed.csv": "Images with a border of one grey level; the trainings cut it off.",
    "unreadable.csv": "Images that the trainings left out, and the reasons.",
    "focus.csv": "How sharp the knees are: the standard deviation of the Laplacian of the "
    "network's image, by make_pretrained.py for the card of the model that ships.",
    AUDIT: "By `knee-attention audit` of the model that ships: where its attention looks, whether "
    "it depends on the image, and whether it matters, with 95% intervals over persons.",
    ROBUSTNESS: "By `knee-attention robustness` of the model that ships: accuracy and quadratic "
    "kappa of clean and corrupted knees, with 95% intervals over persons. The strengths and their "
    "reasons are in `knee_attention/films/corruption.py`.",
    OTHER_HOSPITALS: "By experiments/other_hospitals.py. One row for each way to grade films of "
    "another hospital: what the model that ships reaches, beside its validation knees.",
    "weight_search.csv": "By run_weight_search.py. One row a training: loss weights, seed, "
    "validation losses and accuracies.",
}
"""What each file holds."""

OTHERS = (
    "What the model that ships reaches on films of another hospital, compared with its own "
    "validation knees. The normal path finds the joint and cuts it out; whole images and centre "
    "squares are graded as if they were crops. With local films, `knee-attention calibrate` is "
    "fitted to graded films of one half and measured on the other: means over 20 splits."
)
COLUMNS = ("experiment", "seeds", "chosen output", "accuracy", "kappa", "quadratic kappa",
           "minutes")  # fmt: skip
DERIVED = ("name", "backbone", "branches", "fusion", "seed")
"""Options that the table of runs does not show, because the name or the seeds say them."""


def results_page(
    folder: Path,
    runs: dict[str, FinishedRun],
    experiments: dict[str, list[Experiment]],
    findings: list[Finding],
    pictures: dict[str, str],
    about: str,
) -> str:
    """The README of a folder of published runs, in Markdown.

    Args:
        folder: the folder; the page describes the files that it holds.
        runs: its runs by name.
        experiments: the experiments of each table, by the name of the table.
        findings: the findings of the runs.
        pictures: `{file name: caption}`.
        about: a text about the data set.
    """
    first = next(iter(runs.values()))
    grouped = by_experiment(runs)
    sections = [
        f"# Results on {first.origin}",
        about,
        f"{len(runs)} trainings of {len(grouped)} experiments. The numbers are for the "
        f"{first.results['knees']} {first.split} knees of {first.results['subjects']} persons. "
        "`knee-attention publish` writes the CSV files; `python experiments/findings.py --from "
        "DIR --readme` writes this page from them, with DIR this folder.",
        "## Files",
        _files(folder),
        "A run is called `<experiment>`, or `<experiment>-seed<N>` for a further training.",
        "## Runs",
        _shared(grouped),
        markdown_rows(*_runs(grouped)),
    ]
    for name, known in experiments.items():
        names = {experiment.name for experiment in known}
        table = published_table(
            name, {run: of for run, of in runs.items() if without_seed(run) in names}, known
        )
        if table:
            sections += [f"## {rules_of(name).TITLE}", table]
    for finding in findings:
        sections += [f"## {finding.title}", finding.text, finding.table]
    search = published_search(runs)
    if search:
        sections += ["## Search for the loss weights", search]
    if (folder / AUDIT).is_file():
        results = read_json(folder / AUDIT)
        sections += ["## Audit of the attention",
                     _fenced(audit_heading(results), audit_text(results))]  # fmt: skip
    for title, text in (("Robustness", robustness_section(folder)),
                        ("Other hospitals", other_hospitals_section(folder))):  # fmt: skip
        if text:
            sections += [f"## {title}", text]
    shown = {name: text for name, text in pictures.items() if (folder / name).is_file()}
    if shown:
        sections.append("## Pictures")
        sections += [f"![{text}]({name})\n\n{text}" for name, text in shown.items()]
    return "\n\n".join(section.rstrip("\n") for section in sections if section) + "\n"


def robustness_section(folder: Path) -> str:
    """What corruptions cost the model that ships, in Markdown; empty if it was not published."""
    if not (folder / ROBUSTNESS).is_file():
        return ""
    results = read_json(folder / ROBUSTNESS)
    return _fenced(robustness_heading(results), robustness_text(results))


def other_hospitals_section(folder: Path) -> str:
    """Films of other hospitals, in Markdown; empty if they were not published."""
    others = PublishedSet(folder).table(OTHER_HOSPITALS)
    if not others.rows:
        return ""
    rows = [[*row.values()] for row in others.rows]
    return f"{OTHERS}\n\n{markdown_rows(others.columns, rows)}"


def _fenced(heading: str, text: str) -> str:
    return f"```\n{heading}\n\n{text}\n```"


def _files(folder: Path) -> str:
    rows = [
        (f"[{name}]({name})", text) for name, text in FILES.items() if (folder / name).exists()
    ]
    return markdown_rows(("file", "content"), rows)


def _options(trainings: list[FinishedRun]) -> dict[str, str]:
    """The options of the first training as text, without those of `DERIVED`."""
    held = trainings[0].experiment
    return {name: _text(value) for name, value in held.items() if name not in DERIVED}


def _text(value) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return "" if value is None else f"{value}"


def _differing(grouped: dict[str, list[FinishedRun]]) -> list[str]:
    """The options that are not the same for all experiments."""
    options = [_options(trainings) for trainings in grouped.values()]
    return [name for name in options[0] if len({held[name] for held in options}) > 1]


def _shared(grouped: dict[str, list[FinishedRun]]) -> str:
    differing = _differing(grouped)
    options = _options(next(iter(grouped.values())))
    shared = [f"{name} {value}" for name, value in options.items()
              if value and name not in differing]  # fmt: skip
    return (f"Options of all runs: {', '.join(shared)}. Metrics are those of the chosen output; "
            "metrics and minutes are means over seeds.")


def _runs(grouped: dict[str, list[FinishedRun]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of runs: one row an experiment."""
    differing = _differing(grouped)
    rows = []
    for name, trainings in grouped.items():
        found = [grade_metrics(run.predictions.grades, by_chosen(run).of(CHOSEN))
                 for run in trainings]  # fmt: skip
        metrics = (mean([one[key] for one in found])
                   for key in ("accuracy", "kappa", "kappa_quadratic"))  # fmt: skip
        options = _options(trainings)
        rows.append([
            name,
            ", ".join(f"{run.experiment['seed']}" for run in trainings),
            ", ".join(dict.fromkeys(run.chosen for run in trainings)),
            *("" if value is None else f"{value:.3f}" for value in metrics),
            f"{mean([run.minutes for run in trainings]):.1f}",
            *(options[option] for option in differing),
        ])  # fmt: skip
    return [*COLUMNS, *(name.replace("_", " ") for name in differing)], rows
