"""What the commands that do many runs have in common: options, workers, a queue."""

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from knee_attention import __version__
from knee_attention.commands.arguments import named, positive_number
from knee_attention.errors import InputError
from knee_attention.files import make_folder
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.run_options import DEFAULT_OPTIONS, RunOptions
from knee_attention.runs.sweeps.cells import (
    Cells,
    on_its_own_data,
    run_by_workers,
    run_from,
    run_in_turn,
)
from knee_attention.runs.sweeps.queue import Queue, require_optuna
from knee_attention.runs.sweeps.status import Status
from knee_attention.runs.sweeps.storage import local_queue, local_storage
from knee_attention.startup import start_keras


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a command that several processes can work at."""
    parser.add_argument("--workers", type=positive_number, metavar="N",
                        help="work in N processes; the same command elsewhere joins in")
    parser.add_argument("--storage", type=named, metavar="URL",
                        help="the queue's database, such as postgresql://user@host/name, where "
                        "several machines work (default: a file in the output folder)")
    parser.add_argument("--status", action="store_true",
                        help="only say what is done, running, waiting and failed")
    parser.add_argument("--retry-failed", action="store_true",
                        help="first put what failed back into the queue")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def take_queue_options(options: dict) -> argparse.Namespace:
    """Take what `add_queue_options` declared out of a command's options."""
    names = ("workers", "storage", "status", "retry_failed", "worker")
    return argparse.Namespace(**{name: options.pop(name) for name in names})


def run_cells(
    cells: Cells,
    output: Path,
    asked: argparse.Namespace,
    identity: dict,
    after: Callable[[dict[str, str]], None],
    run_options: RunOptions = DEFAULT_OPTIONS,
) -> dict[str, str] | None:
    """Do the runs of a table or a search as the command line asks for it.

    Args:
        cells: what to run.
        output: the folder of their folders, which also names the queue.
        asked: as `take_queue_options` gives it.
        identity: what every command on this queue has to agree in.
        after: writes what is known, given what failed so far.
        run_options: how the runs are done; from a queue none is done anew.

    Returns:
        `{cell: reason}` of the failed runs; None where only the status was asked for, or this
        process is but a worker.

    Raises:
        InputError: the output cannot be used, or the storage.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: not a folder")
    first = next(iter(cells.values()))
    RunFolder(output).refuse_overlap([first.data], run_options.overwrite, first.weights)
    queued = asked.workers or asked.storage or asked.status or asked.retry_failed or asked.worker
    if not queued:
        _started(cells, run_options)
        return run_in_turn(cells, output, run_options, after)
    if run_options.overwrite:
        raise InputError("--overwrite runs in this process alone; remove the output folder, or "
                         "leave out the options of the queue")
    _refuse_others(cells, output)
    if asked.status:  # which shows no results and need not read the data
        print(_status(cells, output, asked, identity))
        return None
    _refuse_other_data(cells, output)
    queue = _opened(cells, output, asked, identity)
    _see_what_is_done(queue, output)
    if asked.retry_failed and not asked.worker:
        print(f"put back into the queue: {', '.join(queue.retry_failed()) or 'nothing'}")
    if asked.worker or not asked.workers:
        _started(cells, run_options)
        run_from(queue, cells, output, run_options)
        failed = None if asked.worker else queue.status().failed
    else:
        worker = [sys.executable, *sys.argv, "--worker"]
        failed = run_by_workers(queue, worker, asked.workers, output).failed
    if failed is not None:
        after(failed)
    return failed


def refuse_failed(failed: dict[str, str], cells: Cells, asked: argparse.Namespace) -> None:
    """End a command some of whose runs failed, after all that is known was shown.

    Raises:
        InputError: some did; it says how to try them again.
    """
    if failed:
        again = "--retry-failed" if asked.workers or asked.storage else "the same command"
        raise InputError(f"{len(failed)} of {len(cells)} runs failed; {again} tries them again")


def _started(cells: Cells, run_options: RunOptions) -> None:
    """Import Keras, and see that there are the devices before any run fails for want of them."""
    start_keras()
    from knee_attention.runs.parallel import find_devices, refuse_uneven

    devices = len(find_devices(run_options.devices))
    for experiment in cells.values():
        refuse_uneven(experiment.batch_size, devices)


def _status(cells: Cells, output: Path, asked: argparse.Namespace, identity: dict) -> Status:
    """Where the runs stand, by the queue and, what ran without one, by its folder."""
    if asked.storage or local_queue(output).exists():
        status = _opened(cells, output, asked, identity, only_look=True).status()
    else:
        status = Status(waiting=list(cells))
    finished = [cell for cell in status.waiting if RunFolder(output / cell).finished]
    return replace(
        status,
        done=status.done + finished,
        waiting=[cell for cell in status.waiting if cell not in finished],
    )


def _opened(
    cells: Cells, output: Path, asked: argparse.Namespace, identity: dict, only_look: bool = False
) -> Queue:
    require_optuna()
    # Its heartbeats are marked as experimental, at every call.
    warnings.filterwarnings("ignore", message=".*experimental", module="knee_attention|optuna")
    if not asked.storage:
        make_folder(output)
    storage = asked.storage or local_storage(output)
    identity = {**identity, "version": __version__}
    return Queue(storage, output.name, identity, cells, only_look=only_look)


def _refuse_others(cells: Cells, output: Path) -> None:
    """A queue does not know of its cells' --seed and --precision; the runs in their folders do."""
    for cell, experiment in cells.items():
        run = RunFolder(output / cell)
        if run.begun:
            run.refuse_other(on_its_own_data(experiment, run))


def _refuse_other_data(cells: Cells, output: Path) -> None:
    """A queue takes a finished cell as it is, whatever its data hold now."""
    from knee_attention.datasets.fingerprint import dataset_records
    from knee_attention.runs.known_data import refuse_other_data

    read = cache(dataset_records)
    for cell, experiment in cells.items():
        refuse_other_data(RunFolder(output / cell), experiment, read)


def _see_what_is_done(queue: Queue, output: Path) -> None:
    missing = [cell for cell in queue.status().done if not RunFolder(output / cell).finished]
    if missing:
        raise InputError(f"{output}: lacks {missing[0]}, which is finished as the queue has it; "
                         "all who work at a queue need the same output folder, and a run that was "
                         "removed needs a queue of its own (--storage)")
