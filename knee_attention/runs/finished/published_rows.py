"""A finished run as rows of the tables of a `PublishedSet`."""

import json
from collections.abc import Iterator
from dataclasses import fields

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.metrics import SCALARS
from knee_attention.evidence.predictions import Predictions
from knee_attention.limits import GRADES
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.published_set import Row, Table, run_of, table_of

EXPERIMENT_COLUMNS = ("name", *(field.name for field in fields(Experiment)))
"""Columns of runs.csv with the content of experiment.json."""

RESULT_COLUMNS = {
    "variant": "variant", "synthetic": "synthetic", "parameters": "parameters",
    "epochs_trained": "epochs", "split": "split", "knees": "knees", "subjects": "subjects",
    "chosen": "chosen",
}  # fmt: skip
"""Columns of runs.csv with content of results.json, and its keys."""

ENVIRONMENT_COLUMNS = {
    "training_seconds": "training_seconds", "wall_seconds": "wall_seconds", "device": "device",
    "devices": "devices", "backend": "backend", "precision_used": "precision",
    "versions": "versions", "commit": "commit", "command": "command",
}  # fmt: skip
"""Columns of runs.csv with the content of environment.json, and its keys."""

MAIN_METRICS = ("accuracy", "kappa", "kappa_linear", "kappa_quadratic")
"""Metrics of the chosen output that runs.csv repeats from metrics.csv."""

PHANTOM, DISPLACED = "phantom", "displaced"
"""Values of `joint` in attention.csv where the joint's place is known: that of a phantom, and that
of a displaced joint."""

ATTENTION_COLUMNS = ("run", "joint", "branch", "data", "split", "knees")
"""Columns of attention.csv that are no scores."""

OWN_MINUS = "own_minus_this"
"""Entry of an audit's estimate, and column of audits.csv: the value with each
knee's own mask minus the value with this mask."""

PROBABILITY = "{:.4f}"
"""Format of a published probability."""


def run_row(run: str, found: FinishedRun) -> Row:
    """The row of a run in `runs.csv`. Its metrics are those of the chosen output."""
    metrics = found.outputs[found.chosen]
    cells = {name: found.experiment.get(name) for name in EXPERIMENT_COLUMNS}
    cells |= {column: found.results.get(key) for column, key in RESULT_COLUMNS.items()}
    cells |= {name: metrics.get(name) for name in MAIN_METRICS}
    cells["minutes"] = round(found.minutes, 1) if "wall_seconds" in found.environment else None
    cells |= {column: found.environment.get(key) for column, key in ENVIRONMENT_COLUMNS.items()}
    return {"run": run} | {name: as_cell(value) for name, value in cells.items()}


def metrics_rows(run: str, found: FinishedRun) -> Iterator[Row]:
    """The rows of a run in `metrics.csv`: one for each split and output."""
    for split in dict.fromkeys(("validation", found.split)):
        for output, metrics in found.results[split].items():
            row = {"run": run, "split": split, "output": output}
            for name in SCALARS:
                low, high = metrics["intervals"].get(name) or (None, None)
                row[name] = as_cell(metrics.get(name))
                row |= {f"{name}_low": as_cell(low), f"{name}_high": as_cell(high)}
            yield row


def attention_rows(run: str, found: FinishedRun) -> Iterator[Row]:
    """The rows of a run in `attention.csv`: one for each joint and branch."""
    measured = dict(found.expert_masks or {})
    place = {name: as_cell(measured.pop(name, None)) for name in ("data", "split", "knees")}
    if "localisation" in found.results:
        known = DISPLACED if found.experiment.get("displace") else PHANTOM
        measured[known] = found.results["localisation"]
    for joint, branches in measured.items():
        about = dict.fromkeys(place, "") if joint in (PHANTOM, DISPLACED) else place
        for branch, scores in branches.items():
            row = {"run": run, "joint": joint, "branch": branch}
            yield row | about | {name: as_cell(value) for name, value in (scores or {}).items()}


def audit_rows(run: str, found: FinishedRun) -> Iterator[Row]:
    """The rows of a run in `audits.csv`: one for each branch, mask and measure."""
    for branch, masks in found.audit.items():
        for mask, measures in masks.items():
            for measure, estimate in measures.items():
                row = {"run": run, "branch": branch, "mask": mask, "measure": measure}
                for column, known in (("value", estimate), (OWN_MINUS, estimate.get(OWN_MINUS))):
                    low, high = (known or {}).get("interval") or (None, None)
                    row |= {
                        column: as_cell((known or {}).get("value")),
                        f"{column}_low": as_cell(low),
                        f"{column}_high": as_cell(high),
                    }
                yield row


def audit_of(rows: list[Row]) -> dict[str, dict[str, dict]]:
    """The audit of a run from its rows in `audits.csv`."""
    found: dict = {}
    for row in rows:
        estimate, less = (
            {
                "value": from_cell(row[column]),
                "interval": [from_cell(row[f"{column}_{end}"]) for end in ("low", "high")]
                if row[f"{column}_low"] else None,
            }
            for column in ("value", OWN_MINUS)
        )  # fmt: skip
        if less["value"] is not None:
            estimate[OWN_MINUS] = less
        found.setdefault(row["branch"], {}).setdefault(row["mask"], {})[row["measure"]] = estimate
    return found


def with_predictions(table: Table, run: str, known: Predictions) -> Table:
    """A table of predictions with the rounded probabilities of one more run.

    Args:
        table: the table without this run.
        run: the name of the run.
        known: its predictions.
    """
    columns = {
        f"{run}/{output}_p{grade}": values[:, grade]
        for output, values in known.probabilities.items()
        for grade in GRADES
    }
    rows = {(row["file"], row["grade"]): row for row in table.rows}
    for place, file in enumerate(known.files):
        grade = str(known.grades[place])
        rows[file, grade] = rows.get((file, grade), {"file": file, "grade": grade}) | {
            name: PROBABILITY.format(values[place]) for name, values in columns.items()
        }
    probabilities = sorted([*table.columns[2:], *columns], key=run_of)
    return table_of(("file", "grade", *probabilities), [rows[key] for key in sorted(rows)])


def as_cell(value) -> str:
    """A value as a cell: None is empty, text stays, everything else is JSON."""
    if value is None:
        return ""
    if isinstance(value, str) and from_cell(value) == value:
        return value
    return json.dumps(value)


def from_cell(cell: str):
    """The value of a cell that `as_cell` made."""
    if not cell:
        return None
    try:
        return json.loads(cell)
    except ValueError:
        return cell
