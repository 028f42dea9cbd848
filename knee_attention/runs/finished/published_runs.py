"""Published runs, read from the tables of a `PublishedSet`."""

from pathlib import Path

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.finished_run import FinishedRun, refuse_mismatch
from knee_attention.evidence.metrics import SCALARS
from knee_attention.evidence.predictions import Predictions
from knee_attention.limits import GRADES
from knee_attention.runs.experiment import Experiment, changes_in_words
from knee_attention.runs.finished.published_rows import (
    ATTENTION_COLUMNS,
    DISPLACED,
    ENVIRONMENT_COLUMNS,
    EXPERIMENT_COLUMNS,
    PHANTOM,
    RESULT_COLUMNS,
    audit_of,
    from_cell,
)
from knee_attention.runs.finished.published_set import (
    ATTENTION,
    AUDITS,
    KNEES,
    METRICS,
    RUNS,
    PublishedSet,
    Row,
    Table,
    predictions_name,
    run_of,
)
from knee_attention.runs.sweeps.cells import without_seed


def read_runs(folder: Path) -> dict[str, FinishedRun]:
    """The published runs of a folder by name, in alphabetical order.

    Their results are those of `runs.csv`, `metrics.csv` and `attention.csv`, without intervals.

    Raises:
        InputError: no such folder, no published runs, or damaged tables.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    published = PublishedSet(folder)
    if not published.exists:
        raise InputError(f"{folder}: no published run (no {RUNS}); knee-attention publish writes "
                         "it")
    run, found = RUNS, {}
    try:
        rows = {row["run"]: row for row in published.table(RUNS).rows}
        if not rows:
            raise InputError(f"{folder}: no published run")
        metrics, attention, audits = (
            _by_run(published.table(name)) for name in (METRICS, ATTENTION, AUDITS)
        )
        subjects = {row["file"]: row["subject"] for row in published.table(KNEES).rows}
        experiments = {row["name"] for row in rows.values()}
        predictions = {name: published.table(predictions_name(name)) for name in experiments}
        for run, row in rows.items():
            found[run] = FinishedRun(
                experiment=_experiment(row),
                results=_results(row, metrics[run], attention.get(run, [])),
                environment=_environment(row),
                predictions=_predictions(predictions[row["name"]], run, subjects),
                expert_masks=_expert_masks(attention.get(run, [])),
                audit=audit_of(audits.get(run, [])),
            )
            refuse_mismatch(
                found[run], folder / predictions_name(row["name"]), folder / METRICS
            )
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{folder}: the tables are damaged at {run} ({error})") from None
    return found


def by_experiment(runs: dict[str, FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Runs by experiment; `<experiment>-seed<N>` is a further training of `<experiment>`.

    Raises:
        InputError: runs of one experiment differ in more than the seed.
    """
    found: dict[str, dict[str, FinishedRun]] = {}
    for run, training in runs.items():
        found.setdefault(without_seed(run), {})[run] = training
    for trainings in found.values():
        refuse_different({run: training.recipe for run, training in trainings.items()})
    return {name: list(trainings.values()) for name, trainings in found.items()}


def refuse_different(options: dict[str, dict]) -> None:
    """Refuse runs with different options.

    Args:
        options: `{run: options that must be equal}`.

    Raises:
        InputError: a run has other options than the first.
    """
    first, shared = next(iter(options.items()))
    for run, held in options.items():
        different = {name: (value, held.get(name)) for name, value in shared.items()
                     if held.get(name) != value}  # fmt: skip
        if different:
            raise InputError(f"{run}: cannot be shown together with {first}, because their options "
                             f"differ ({changes_in_words(different)})")


def _by_run(table: Table) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in table.rows:
        found.setdefault(row["run"], []).append(row)
    return found


def _experiment(row: Row) -> dict:
    """The content of experiment.json, with the default of every option that it lacks."""
    cells = {name: from_cell(row.get(name, "")) for name in EXPERIMENT_COLUMNS}
    given = {name: value for name, value in cells.items() if value is not None}
    return Experiment().as_json() | given


def _results(row: Row, metrics: list[Row], attention: list[Row]) -> dict:
    results = {name: from_cell(row[name]) for name in ("name", "backbone")}
    results |= {key: from_cell(row[column]) for column, key in RESULT_COLUMNS.items()}
    for measured in metrics:
        outputs = results.setdefault(measured["split"], {})
        outputs[measured["output"]] = {name: from_cell(measured[name]) for name in SCALARS}
    scores = {
        known["branch"]: _scores(known)
        for known in attention
        if known["joint"] in (PHANTOM, DISPLACED)
    }
    return results | ({"localisation": scores} if scores else {})


def _environment(row: Row) -> dict:
    return {key: from_cell(row[name]) for name, key in ENVIRONMENT_COLUMNS.items() if row[name]}


def _expert_masks(attention: list[Row]) -> dict | None:
    found: dict = {}
    for row in attention:
        if row["joint"] not in (PHANTOM, DISPLACED):
            found |= {name: from_cell(row[name]) for name in ("data", "split", "knees")}
            found.setdefault(row["joint"], {})[row["branch"]] = _scores(row)
    return found or None


def _scores(row: Row) -> dict:
    return {name: from_cell(row[name]) for name in row if name not in ATTENTION_COLUMNS}


def _predictions(table: Table, run: str, subjects: dict[str, str]) -> Predictions:
    columns = [name for name in table.columns if run_of(name) == run]
    rows = [row for row in table.rows if row[columns[0]]]
    files = [row["file"] for row in rows]
    outputs = dict.fromkeys(name.rpartition("_p")[0] for name in columns)
    return Predictions(
        files,
        [subjects[file] for file in files],
        np.array([int(row["grade"]) for row in rows]),
        {
            output.removeprefix(f"{run}/"): np.array(
                [[float(row[f"{output}_p{grade}"]) for grade in GRADES] for row in rows]
            )
            for output in outputs
        },
    )
