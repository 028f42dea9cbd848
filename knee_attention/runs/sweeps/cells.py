"""Run the cells of a table or a search, one after the other or by several workers."""

import gc
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import InputError, first_line
from knee_attention.files import make_folder
from knee_attention.runs.experiment import NAMED_WEIGHTS, Experiment, RunOptions
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.queue import GRACE, Queue
from knee_attention.runs.sweeps.status import Status

if TYPE_CHECKING:  # pandas, which command lines do not wait for
    from knee_attention.evidence.finished_run import FinishedRun

Cells = dict[str, Experiment]
"""`{folder name: experiment}`."""

POLL = 2.0
"""Seconds between two queries of the workers' progress."""


def without_seed(folder: str) -> str:
    """The name of a cell's experiment: the folder name without `-seed<N>`."""
    return re.sub(r"-seed\d+$", "", folder)


def with_initial_weights(cells: Cells) -> Cells:
    """The cells with the files of their initial weights.

    If `weights` is the output folder of another sweep, each cell starts from that sweep's model of
    the same name.

    Raises:
        InputError: no such file or folder, or a model is missing in the folder.
    """
    found = {}
    for cell, experiment in cells.items():
        if experiment.weights not in NAMED_WEIGHTS:
            weights = Path(experiment.weights)
            if not weights.exists():
                raise InputError(f"{weights}: no such file or folder of initial weights")
            if weights.is_dir():
                model = RunFolder(weights / cell).model
                if not model.is_file():
                    raise InputError(f"{weights}: no finished run {cell} for the initial weights "
                                     f"(it has no {model.relative_to(weights)})")
                experiment = replace(experiment, weights=str(model))
        found[cell] = experiment
    return found


def with_recorded_data_path(experiment: Experiment, run: RunFolder) -> Experiment:
    """The experiment with the data path of an existing run, if the data have the same name.

    Machines that share a queue may have the data in different places.
    """
    held = run.read_experiment().get("data")
    same = held and experiment.data and Path(held).name == experiment.origin
    return replace(experiment, data=held) if same else experiment


def finished_of(cells: Cells, failed: dict[str, str], output: Path) -> "dict[str, FinishedRun]":
    """The finished runs of the cells. A folder with another experiment is ignored.

    Args:
        cells: the cells.
        failed: `{cell: reason}`; cells that cannot be read are added.
        output: the sweep's folder.
    """
    from knee_attention.datasets.fingerprint import dataset_records
    from knee_attention.runs.known_data import refuse_other_data

    finished, read = {}, cache(dataset_records)
    for cell, experiment in cells.items():
        run = RunFolder(output / cell)
        try:
            if run.finished and not run.different_from(with_recorded_data_path(experiment, run)):
                refuse_other_data(run, experiment, read)
                finished[cell] = run.read()
        except InputError as error:
            failed[cell] = str(error)
    return finished


def run_cell(experiment: Experiment, folder: Path, run_options: RunOptions) -> float:
    """Run or resume one experiment and return its validation loss.

    The loss is the sum of the outputs' cross-entropies, weighted as in training, without a
    regression.
    """
    import keras

    from knee_attention.evidence.probabilities import classifying
    from knee_attention.runs.run import run

    try:
        results = run(experiment, folder, run_options)
        RunFolder(folder).delete_state()  # large, and a sweep's number of epochs is fixed
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
    """Run all unfinished cells in this process.

    Args:
        cells: the cells.
        output: the sweep's folder.
        run_options: options of the runs; `overwrite` runs finished cells again.
        after: called after each cell with the failed cells so far.

    Returns:
        `{cell: reason}` of the failed cells.
    """
    failed, began = {}, time.monotonic()
    for number, (cell, experiment) in enumerate(cells.items()):
        minutes = (time.monotonic() - began) / 60
        print(f"\n[{number + 1}/{len(cells)}] {cell}, {minutes:.0f} min so far")
        failed.pop(cell, None)  # `after` adds cells with an unreadable earlier run
        try:
            run_cell(experiment, output / cell, run_options)
        except Exception as error:  # such as a full disk: other cells may still succeed
            failed[cell] = first_line(error)
            print(f"{cell} failed: {failed[cell]}")
        after(failed)
    return failed


def run_from(queue: Queue, cells: Cells, output: Path, run_options: RunOptions) -> None:
    """Work as a worker: run cells from the queue until all are done."""
    queue.work(lambda cell: run_cell(cells[cell], output / cell, run_options))


def run_by_workers(queue: Queue, command: list[str], count: int, output: Path) -> Status:
    """Start worker processes, show their progress, and wait for them.

    Each worker writes its output to `worker<N>.log` in the sweep's folder.

    Args:
        queue: the queue of the cells.
        command: the command of a worker.
        count: number of workers.
        output: the sweep's folder.

    Raises:
        InputError: all workers ended although cells are left, or the queue cannot be read before
            the workers start or after they ended.
    """
    from tqdm import tqdm

    make_folder(output)
    status = queue.status()
    logs = [output / f"worker{number + 1}.log" for number in range(count)]
    workers: list[subprocess.Popen] = []
    if status.running:
        print(f"cells of other workers: {len(status.running)}; those of dead workers are freed "
              f"after {GRACE / 60:.0f} minutes", flush=True)
    try:
        for log in logs:
            workers.append(_started(command, log))
        done = len(status.done)
        with tqdm(total=len(queue.cells), initial=done, desc="runs", disable=None) as progress:
            while any(worker.poll() is None for worker in workers):
                time.sleep(POLL)
                with suppress(InputError):  # the workers report a database that stays away
                    status = queue.status()
                progress.update(len(status.done) - progress.n)
                progress.set_postfix(running=len(status.running), failed=len(status.failed))
    finally:
        for worker in workers:
            worker.terminate()  # Ctrl-C does not reach background processes of a shell
        for worker in workers:
            worker.wait()
    status = queue.status()
    if status.waiting or status.running:
        raise InputError("the workers ended before all cells were done; see the reason in "
                         f"{logs[0]}, and resume with the same command")
    return status


def _started(command: list[str], log: Path) -> subprocess.Popen:
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
