"""Runs as they are kept beside the code: what was run and what it found, without the weights."""

import glob
import os
import re
import shutil
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.finished_run import FinishedRun, copies
from knee_attention.evidence.predictions import (
    Predictions,
    read_table_of_predictions,
    write_table_of_predictions,
)
from knee_attention.files import RUN_MODEL, make_folder, table_rows, write_json, write_table
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import without_seed
from knee_attention.runs.sweeps.tables import refuse_different, with_weights_named

PROBABILITY = "{:.4f}"
"""Digits of a published probability; the metrics hardly notice."""


def publish(run: Path, to: Path, overwrite: bool = False) -> Path:
    """Copy what a finished run found into a folder of its name, whole or not at all.

    Paths of the machine it ran on become the last part of their names, and probabilities are
    rounded.

    Args:
        run: the folder of a finished run.
        to: where published runs are gathered.
        overwrite: replace a run that was published under this name before.

    Returns:
        the folder of the published run.

    Raises:
        InputError: no finished run, one whose files do not fit each other, one published before,
            or a place that cannot be written to.
    """
    run, to = RunFolder(run), Path(to)
    found = run.read()
    missing = [path.name for path in _kept(run) if not path.is_file()]
    if missing:
        raise InputError(f"{run.folder}: a damaged run, it has no {missing[0]}")
    target = to / run.folder.resolve().name
    if target.resolve() == run.folder.resolve():
        raise InputError(f"{run.folder}: is published already")
    if target.exists():
        _refuse_other_folder(target)
        if not overwrite:
            raise InputError(f"{target}: published before; --overwrite replaces it")
    make_folder(to)
    _refuse_other_data(found.experiment, to)
    beside, before = (to / f".{os.getpid()}.{kind}.{target.name}" for kind in ("new", "old"))
    try:
        beside.mkdir()
        _copy(run, found, RunFolder(beside))
        if target.exists():
            target.rename(before)
        beside.rename(target)
    except OSError as error:
        if before.exists() and not target.exists():
            before.rename(target)
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    _remove_remains(target)
    return target


def _refuse_other_data(experiment: dict, to: Path) -> None:
    """No table can show runs on two sets of data."""
    for place in to.glob("[!.]*"):
        if RunFolder(place).finished:
            held = RunFolder(place).read_experiment().get("data")
            if _local(held) != _local(experiment.get("data")):
                raise InputError(f"{to}: holds runs on {held or 'synthetic phantoms'}; choose "
                                 "another --to")


def _remove_remains(target: Path) -> None:
    """Remove what a published run replaced, and what a process that was killed left beside it."""
    for place in target.parent.glob(f".*.{glob.escape(target.name)}"):
        if re.fullmatch(r"\.\d+\.(new|old)", place.name.removesuffix(f".{target.name}")):
            shutil.rmtree(place, ignore_errors=True)


def read_published(folder: Path) -> dict[str, list[FinishedRun]]:
    """The published runs of a folder by name; `<name>-seed<N>` is a further training of `<name>`.

    Raises:
        InputError: no such folder, none in it, a damaged one, trainings of one name that differ
            in more than their seed, or one that is a copy of another.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found, options = {}, {}
    places = (path for path in folder.glob("[!.]*") if RunFolder(path).finished)
    for place in sorted(places):
        name, training = without_seed(place.name), RunFolder(place).read()
        found.setdefault(name, {})[place] = training
        held = with_weights_named(training.experiment)
        options.setdefault(name, {})[place] = held | {"seed": None}
    if not found:
        raise InputError(f"{folder}: no published run")
    for trainings in options.values():
        refuse_different(trainings)
    for trainings in found.values():
        for copy, original in copies(trainings).items():
            raise InputError(f"{copy}: is a copy of {original.name}, which is no further training; "
                             "remove it")
    return {name: list(trainings.values()) for name, trainings in found.items()}


def _kept(run: RunFolder) -> list[Path]:
    """The files of every published run."""
    return [run.experiment_file, run.environment_file, run.history, run.predictions_file,
            run.results_file]  # fmt: skip


def _kept_where_there(run: RunFolder) -> list[Path]:
    """Those of some: turned, trimmed and unreadable knees, and attention on joints that experts
    drew."""
    return [run.turned, run.trimmed, run.unreadable, run.expert_masks_file]


def _refuse_other_folder(target: Path) -> None:
    """Keep `--overwrite` from removing what is no published run, such as a run with its model."""
    published = RunFolder(target)
    known = {*_kept(published), *_kept_where_there(published)}
    others = () if target.is_symlink() or not target.is_dir() else set(target.iterdir()) - known
    if others or not published.finished or target.is_symlink():
        raise InputError(f"{target}: is there and is no published run"
                         + (f", it holds {min(others).name}" if others else ""))


def _copy(run: RunFolder, found: FinishedRun, beside: RunFolder) -> None:
    experiment = {name: _local(value) for name, value in found.experiment.items()}
    write_json(beside.experiment_file, experiment)
    command = [_local(word) for word in found.environment.get("command", [])]
    write_json(beside.environment_file, {**found.environment, "command": command})
    _write_rounded(run.predictions_file, found.predictions, beside.predictions_file)
    for path in (run.history, run.results_file, run.turned, run.trimmed, run.expert_masks_file):
        if path.is_file():
            shutil.copyfile(path, beside.folder / path.name)
    if run.unreadable.is_file():
        _write_named_in_data(run.unreadable, found.experiment["data"], beside.unreadable)


def _write_named_in_data(source: Path, data: str, path: Path) -> None:
    """A list of files of a data folder, each by its path from there."""
    with source.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = table_rows(file)
    folder = os.path.join(Path(data), "")
    named = [{**row, "file": row["file"].removeprefix(folder)} for row in rows]
    write_table(path, ["file", "reason"], named)


def _local(value):
    """A value without the path of a machine; a run's model keeps the name of its run, and what is
    given to an option the option's.
    """
    if not isinstance(value, str) or not (os.sep in value or "\\" in value):
        return value
    option, given, argument = value.partition("=")
    if given and option.startswith("--"):
        return f"{option}={_local(argument)}"
    path = Path(value.replace("\\", "/"))
    is_of_run = path.name == RUN_MODEL and RunFolder(path.parent).begun
    return f"{path.parent.name}/{path.name}" if is_of_run else path.name


def _write_rounded(source: Path, predictions: Predictions, path: Path) -> None:
    table = read_table_of_predictions(source)
    for output, values in predictions.probabilities.items():
        for grade, column in enumerate(np.moveaxis(values, 1, 0)):
            table[f"{output}_p{grade}"] = [PROBABILITY.format(value) for value in column]
    write_table_of_predictions(table, path)
