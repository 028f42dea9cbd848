"""Publish finished runs: add their results, without the weights, to the tables of a data set."""

import csv
import os
from dataclasses import replace
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.files import RUN_MODEL, table_rows
from knee_attention.runs.finished.published_rows import (
    attention_rows,
    audit_rows,
    metrics_rows,
    run_row,
    with_predictions,
)
from knee_attention.runs.finished.published_set import (
    ATTENTION,
    AUDITS,
    HISTORIES,
    KNEES,
    METRICS,
    RUNS,
    TABLES,
    PublishedSet,
    Row,
    Table,
    predictions_name,
    run_of,
    table_of,
)
from knee_attention.runs.folder_lock import locked
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import without_seed


def publish(run: Path, to: Path, overwrite: bool = False) -> bool:
    """Add a finished run to the tables of a folder, or change nothing.

    Only the last part of each path is published. Probabilities are rounded to four digits.

    Args:
        run: the folder of a finished run; its name becomes the name of the published run.
        to: the folder of the published runs of one data set; see `PublishedSet`.
        overwrite: replace a run with this name.

    Returns:
        whether anything changed; False if this very run is published there.

    Raises:
        InputError: the run is not finished, or damaged; another run with this name is published,
            or one with its seed; the folder holds runs on other data; or it cannot be written.
    """
    source, published = RunFolder(run), PublishedSet(to)
    found = source.read()
    missing = [path.name for path in (source.environment_file, source.history)
               if not path.is_file()]  # fmt: skip
    if missing:
        raise InputError(f"{run}: a damaged run, it has no {missing[0]}")
    if RunFolder(to).exists:
        raise InputError(f"{to}: the folder of a run; choose another --to")
    name, local = source.folder.resolve().name, _without_paths(found)
    row = run_row(name, local)
    if not row["name"]:
        raise InputError(f"{run}: a damaged run, its {source.experiment_file.name} has no name")
    with locked(to):
        published.finish_write()
        _refuse_other_files(published)
        held = {other["run"]: other for other in published.table(RUNS).rows}
        _refuse_other_runs(row, held, to)
        tables = _tables_with(published, row, held.get(name), local)
        tables[HISTORIES] = published.table(HISTORIES).with_run(name, _history(name, source))
        for path in (source.inverted, source.trimmed, source.unreadable):
            tables[path.name] = _with_images(published, path, found.experiment.get("data"))
        changed = {key: table for key, table in tables.items() if table != published.table(key)}
        if name in held and changed and not overwrite:
            raise InputError(f"{to}: another {name} is published there; --overwrite replaces it")
        if changed:
            published.write(changed)
    return bool(changed)


def _refuse_other_files(published: PublishedSet) -> None:
    """Refuse to overwrite files that only have the name of a table."""
    if published.exists:
        if "run" not in published.table(RUNS).columns:
            raise InputError(f"{published.path(RUNS)}: not a table of published runs, because it "
                             "has no column run; choose another --to")
        return
    for name in TABLES:
        if published.path(name).exists():
            raise InputError(f"{published.path(name)}: not a table of published runs, because "
                             f"there is no {RUNS}; choose another --to")


def _refuse_other_runs(row: Row, held: dict[str, Row], to: Path) -> None:
    """Refuse a run on other data, and one with the seed of another run of its experiment."""
    for name, other in held.items():
        if other["data"] != row["data"]:
            raise InputError(f"{to}: holds runs on {other['data'] or 'synthetic phantoms'}; choose "
                             "another --to")
        further = name != row["run"] and without_seed(name) == without_seed(row["run"])
        if further and other["seed"] == row["seed"]:
            raise InputError(f"{row['run']}: has the seed of {name}, which is published in {to}; a "
                             "further training needs another seed")


def _tables_with(
    published: PublishedSet, row: Row, replaced: Row | None, found: FinishedRun
) -> dict[str, Table]:
    """The tables of a folder with a run.

    Args:
        published: the folder.
        row: the row of the run in `runs.csv`.
        replaced: the row that it replaces, if there is one.
        found: the run.
    """
    name = row["run"]
    tables = {
        RUNS: published.table(RUNS).with_run(name, [row]),
        METRICS: published.table(METRICS).with_run(name, metrics_rows(name, found)),
        ATTENTION: published.table(ATTENTION).with_run(name, attention_rows(name, found)),
        AUDITS: published.table(AUDITS).with_run(name, audit_rows(name, found)),
        KNEES: _with_knees(published, found),
    }
    if replaced:
        before = predictions_name(replaced["name"])
        tables[before] = _without_predictions(published.table(before), name)
    now = predictions_name(row["name"])
    table = tables.get(now) or published.table(now)
    tables[now] = with_predictions(table, name, found.predictions)
    return tables


def _history(name: str, source: RunFolder) -> list[Row]:
    with source.history.open(newline="", encoding="utf-8") as file:
        return [{"run": name} | row for row in csv.DictReader(file)]


def _with_knees(published: PublishedSet, found: FinishedRun) -> Table:
    """The table of knees with those of a run."""
    table, known = published.table(KNEES), found.predictions
    rows = {(row["file"], row["grade"]): row for row in table.rows}
    subjects = {row["file"]: row["subject"] for row in table.rows}
    for file, subject, grade in zip(known.files, known.subjects, known.grades, strict=True):
        if subjects.get(file, subject) != subject:
            raise InputError(f"{published.path(KNEES)}: {file} is of person {subjects[file]} and "
                             f"not {subject}; choose another --to")
        rows[file, str(grade)] = {
            "file": file, "subject": subject, "grade": str(grade), "split": found.split
        }  # fmt: skip
    return table_of((), [rows[key] for key in sorted(rows)])


def _without_predictions(table: Table, run: str) -> Table:
    """A table of predictions without those of a run."""
    columns = [name for name in table.columns if run_of(name) != run]
    rows = [row for row in table.rows if any(row[name] for name in columns[2:])]
    return Table(columns, [{name: row[name] for name in columns} for row in rows])


def _with_images(published: PublishedSet, path: Path, data: str | None) -> Table:
    """A list of images of the data set with those of a run.

    Args:
        published: where the list is.
        path: the list of the run; it may be missing.
        data: the data folder of the run.
    """
    known = {row["file"]: row for row in published.table(path.name).rows}
    if path.is_file():
        known |= {row["file"]: row for row in named_in_data(path, data)}
    return table_of((), [known[file] for file in sorted(known)])


def named_in_data(path: Path, data: str | None) -> list[Row]:
    """The rows of a list of images, with each `file` as a path within the data folder."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = table_rows(file)
    folder = os.path.join(data or "", "")
    return [row | {"file": row["file"].removeprefix(folder)} for row in rows]


def _without_paths(found: FinishedRun) -> FinishedRun:
    """A run without the paths of the machine that trained it."""
    command = [without_path(word) for word in found.environment.get("command", [])]
    return replace(
        found,
        experiment={name: without_path(value) for name, value in found.experiment.items()},
        environment={**found.environment, "command": command},
    )


def without_path(value):
    """A value of an experiment without the path of a machine. The model of a run keeps the name of
    the run; an option keeps its name.
    """
    if not isinstance(value, str) or not (os.sep in value or "\\" in value):
        return value
    option, given, argument = value.partition("=")
    if given and option.startswith("--"):
        return f"{option}={without_path(argument)}"
    path = Path(value.replace("\\", "/"))
    is_of_run = path.name == RUN_MODEL and RunFolder(path.parent).exists
    return f"{path.parent.name}/{path.name}" if is_of_run else path.name
