"""The cells of a table or a search: one after the other, or by several workers from a queue."""

import gc
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import InputError
from knee_attention.files import make_folder
from knee_attention.runs.experiment import NAMED_WEIGHTS, Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.run_options import RunOptions
from knee_attention.runs.sweeps.queue import GRACE, Queue
from knee_attention.runs.sweeps.status import Status

if TYPE_CHECKING:  # pandas, which the command lines do not wait for
    from knee_attention.evidence.finished_run import FinishedRun

Cells = dict[str, Experiment]
"""What is run, by the name of its folder."""

POLL = 2.0
"""Seconds between two looks at what the workers have done."""


def without_seed(folder: str) -> str:
    """The name of an experiment, from that of the folder of one of its trainings."""
    return re.sub(r"-seed\d+$", "", folder)


def with_initial_weights(cells: Cells) -> Cells:
    """The same cells; where the weights to start from are a folder, which another such command
    wrote its runs to, each starts from the model of the run of its own name.

    Raises:
        InputError: there is no such file or folder, or it lacks one of the models.
    """
    found = {}
    for cell, experiment in cells.items():
        if experiment.weights not in NAMED_WEIGHTS:
            weights = Path(experiment.weights)
            if not weights.exists():
                raise InputError(f"{weights}: no such file or folder to start from")
            if weights.is_dir():
                model = RunFolder(weights / cell).model
                if not model.is_file():
                    raise InputError(f"{weights}: no finished run {cell} to start from (it has no "
                                     f"{model.relative_to(weights)})")
                experiment = replace(experiment, weights=str(model))
        found[cell] = experiment
    return found


def on_its_own_data(experiment: Experiment, run: RunFolder) -> Experiment:
    """The experiment with the data where a begun run has them, if they are called the same: between
    the machines of a queue their place may differ.
    """
    held = run.read_experiment().get("data")
    same = held and experiment.data and Path(held).name == experiment.origin
    return replace(experiment, data=held) if same else experiment


def finished_of(cells: Cells, failed: dict[str, str], output: Path) -> "dict[str, FinishedRun]":
    """The finished runs of those cells whose folders hold these very experiments.

    Args:
        cells: what to look for.
        failed: `{cell: reason}`; those that cannot be read are added.
        output: the folder of their folders.
    """
    from knee_attention.datasets.fingerprint import dataset_records
    from knee_attention.runs.known_data import refuse_other_data

    finished, read = {}, cache(dataset_records)
    for cell, experiment in cells.items():
        run = RunFolder(output / cell)
        try:
            if run.finished and not run.different_from(on_its_own_data(experiment, run)):
                refuse_other_data(run, experiment, read)
                finished[cell] = run.read()
        except InputError as error:
            failed[cell] = str(error)
    return finished


def run_cell(experiment: Experiment, folder: Path, run_options: RunOptions) -> float:
    """Run one experiment, or continue it; gives its validation loss, weighted as in training, of
    the outputs that have a cross-entropy: all but a regression.
    """
    import keras

    from knee_attention.evidence.probabilities import classifying
    from knee_attention.runs.run import run

    try:
        results = run(experiment, folder, run_options)
    finally:
        keras.backend.clear_session()
        gc.collect()
    losses = results["validation"]
    return sum(
        weight * losses[output]["cross_entropy"]
        for output, weight in classifying(experiment.output_weights).items()
    )


def run_in_turn(
    cells: Cells, output: Path, run_options: RunOptions, after: Callable[[dict[str, str]], None]
) -> dict[str, str]:
    """Run every cell that is not finished yet in this process.

    Args:
        cells: what to run.
        output: the folder of their folders.
        run_options: how to; with `overwrite` finished ones are run again.
        after: called after each cell with what failed so far.

    Returns:
        `{cell: reason}` of those that failed.
    """
    failed, began = {}, time.monotonic()
    for number, (cell, experiment) in enumerate(cells.items()):
        minutes = (time.monotonic() - began) / 60
        print(f"\n[{number + 1}/{len(cells)}] {cell}, {minutes:.0f} min so far")
        try:
            run_cell(experiment, output / cell, run_options)
        except Exception as error:  # out of memory, a full disk: the others may still succeed
            failed[cell] = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"{cell} failed: {failed[cell]}")
        after(failed)
    return failed


def run_from(queue: Queue, cells: Cells, output: Path, run_options: RunOptions) -> None:
    """Be a worker: take cells from the queue until all are done."""
    queue.work(lambda cell: run_cell(cells[cell], output / cell, run_options))


def run_by_workers(queue: Queue, command: list[str], count: int, output: Path) -> Status:
    """Start a command as so many workers, and show what they do.

    Each worker writes what it says to `worker<N>.log` in the output folder.

    Args:
        queue: what they work at.
        command: what each of them is, as a process.
        count: how many.
        output: the folder of the runs.

    Raises:
        InputError: all workers ended although cells are left.
    """
    from tqdm import tqdm

    make_folder(output)
    status = queue.status()
    logs = [output / f"worker{number + 1}.log" for number in range(count)]
    workers: list[subprocess.Popen] = []
    if status.running:
        print(f"held by workers: {len(status.running)}; what dead ones held is taken again after "
              f"{GRACE / 60:.0f} minutes", flush=True)
    try:
        for log in logs:
            workers.append(_started(command, log))
        done = len(status.done)
        with tqdm(total=len(queue.cells), initial=done, desc="runs", disable=None) as progress:
            while any(worker.poll() is None for worker in workers):
                time.sleep(POLL)
                status = queue.status()
                progress.update(len(status.done) - progress.n)
                progress.set_postfix(running=len(status.running), failed=len(status.failed))
    finally:
        for worker in workers:
            worker.terminate()  # who runs in the background of a shell may not hear of Ctrl-C
        for worker in workers:
            worker.wait()
    status = queue.status()
    if status.waiting or status.running:
        raise InputError(f"the workers ended before all was done; {logs[0]} says why, and the same "
                         "command goes on")
    return status


def _started(command: list[str], log: Path) -> subprocess.Popen:
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
