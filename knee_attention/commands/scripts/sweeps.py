"""Options, workers and queue of the commands that train many runs."""

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from knee_attention import __version__
from knee_attention.commands.arguments import as_path, named, positive_number
from knee_attention.errors import InputError
from knee_attention.files import make_folder
from knee_attention.runs.experiment import DEFAULT_OPTIONS, RunOptions
from knee_attention.runs.output_folder import refuse_overlap
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import (
    Cells,
    run_by_workers,
    run_from,
    run_in_turn,
    with_recorded_data_path,
)
from knee_attention.runs.sweeps.queue import Queue
from knee_attention.runs.sweeps.status import Status
from knee_attention.runs.sweeps.storage import local_queue, local_storage, require_optuna
from knee_attention.startup import start_keras


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    """Add `--from`, `--seeds`, and the options of a queue, which several processes can share."""
    parser.add_argument("--from", dest="published", type=as_path, metavar="DIR",
                        help="train nothing; print the results of the runs published in DIR")
    parser.add_argument("--seeds", type=positive_number, default=1, metavar="N",
                        help="number of trainings of each experiment, with seeds from --seed on "
                        "(default: 1)")
    parser.add_argument("--workers", type=positive_number, metavar="N",
                        help="train in N processes; the same command on another machine joins in")
    parser.add_argument("--storage", type=named, metavar="URL",
                        help="the queue's database, such as postgresql://user@host/name, for "
                        "several machines (default: a file in the output folder)")
    parser.add_argument("--status", action="store_true",
                        help="only print the runs that are done, running, waiting and failed")
    parser.add_argument("--retry-failed", action="store_true",
                        help="put failed runs back into the queue first")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def take_queue_options(options: dict) -> argparse.Namespace:
    """Take the options of the queue out of a command's options."""
    names = ("workers", "storage", "status", "retry_failed", "worker")
    return argparse.Namespace(**{name: options.pop(name) for name in names})


def refuse_beside_from(parser: argparse.ArgumentParser, options: dict) -> None:
    """Refuse options together with --from.

    Raises:
        InputError: an option has another value than its default.
    """
    for name, value in options.items():
        if value != parser.get_default(name):
            raise InputError("--from trains nothing and shows all published runs; leave out "
                             f"--{name.replace('_', '-')}")


def run_cells(
    cells: Cells,
    output: Path,
    options: argparse.Namespace,
    identity: dict,
    after: Callable[[dict[str, str]], None],
    results: str,
    run_options: RunOptions = DEFAULT_OPTIONS,
) -> None:
    """Train the runs of a table or a search, in this process or by a queue, and print the results.

    Args:
        cells: the experiments to run.
        output: the folder of the runs' folders. Its name is also that of the queue.
        options: from `take_queue_options`.
        identity: the settings that all commands on this queue must share.
        after: writes the results so far, `<results>.md` and `.csv` in the output; it gets the
            failed runs so far, `{cell: reason}`.
        results: name of these files without the suffix.
        run_options: options that do not affect the results. A queue refuses `overwrite`.

    Raises:
        InputError: the output or the storage cannot be used, or runs failed.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: not a folder")
    first = next(iter(cells.values()))
    refuse_overlap(output, [first.data], run_options.overwrite, [first.weights])
    if any(vars(options).values()):
        failed = _run_queued(cells, output, options, identity, after, run_options)
    else:
        _check_devices(cells, run_options)
        failed = run_in_turn(cells, output, run_options, after)
    if failed is None:
        return
    print((output / f"{results}.md").read_text(encoding="utf-8"))
    print(f"all columns and figures: {results}.* in {output}")
    if failed:
        again = "--retry-failed" if options.workers or options.storage else "the same command"
        raise InputError(f"{len(failed)} of {len(cells)} runs failed; {again} tries them again")


def _run_queued(
    cells: Cells,
    output: Path,
    options: argparse.Namespace,
    identity: dict,
    after: Callable[[dict[str, str]], None],
    run_options: RunOptions,
) -> dict[str, str] | None:
    """Train runs by a queue.

    Returns:
        `{cell: reason}` of the failed runs; None for `--status` and for a worker process.
    """
    if run_options.overwrite:
        raise InputError("--overwrite does not work with a queue; remove the output folder, or "
                         "leave out the options of the queue")
    _refuse_others(cells, output)
    if options.status:  # it shows no results, so the data are not read
        print(_status(cells, output, options, identity))
        return None
    _refuse_other_data(cells, output)
    queue = _open_queue(cells, output, options, identity)
    _refuse_missing_runs(queue, output)
    if options.retry_failed and not options.worker:
        print(f"put back into the queue: {', '.join(queue.retry_failed()) or 'nothing'}")
    if options.worker or not options.workers:
        _check_devices(cells, run_options)
        run_from(queue, cells, output, run_options)
        failed = None if options.worker else queue.status().failed
    else:
        worker = [sys.executable, *sys.argv, "--worker"]
        failed = run_by_workers(queue, worker, options.workers, output).failed
    if failed is not None:
        after(failed)
    return failed


def _check_devices(cells: Cells, run_options: RunOptions) -> None:
    """Import Keras and check that the devices exist, before the first run."""
    start_keras()
    from knee_attention.device import find_devices, refuse_uneven

    devices = len(find_devices(run_options.devices))
    for experiment in cells.values():
        refuse_uneven(experiment.batch_size, devices)


def _status(cells: Cells, output: Path, options: argparse.Namespace, identity: dict) -> Status:
    """The status of the runs: from the queue, and from the folders of runs outside of it."""
    if options.storage or local_queue(output).exists():
        status = _open_queue(cells, output, options, identity, read_only=True).status()
    else:
        status = Status(waiting=list(cells))
    finished = [cell for cell in status.waiting if RunFolder(output / cell).finished]
    return replace(
        status,
        done=status.done + finished,
        waiting=[cell for cell in status.waiting if cell not in finished],
    )


def _open_queue(
    cells: Cells, output: Path, options: argparse.Namespace, identity: dict, read_only: bool = False
) -> Queue:
    require_optuna()
    # Optuna warns at every call that its heartbeats are experimental.
    warnings.filterwarnings("ignore", message=".*experimental", module="knee_attention|optuna")
    if not options.storage:
        make_folder(output)
    storage = options.storage or local_storage(output)
    identity = {**identity, "version": __version__}
    return Queue(storage, output.name, identity, cells, read_only=read_only)


def _refuse_others(cells: Cells, output: Path) -> None:
    """Refuse run folders of other experiments: a queue does not record --seed and --precision."""
    for cell, experiment in cells.items():
        run = RunFolder(output / cell)
        if run.exists:
            run.refuse_other(with_recorded_data_path(experiment, run))


def _refuse_other_data(cells: Cells, output: Path) -> None:
    """Refuse finished runs if their data have changed since."""
    from knee_attention.datasets.fingerprint import dataset_records
    from knee_attention.runs.known_data import refuse_other_data

    read = cache(dataset_records)
    for cell, experiment in cells.items():
        refuse_other_data(RunFolder(output / cell), experiment, read)


def _refuse_missing_runs(queue: Queue, output: Path) -> None:
    missing = [cell for cell in queue.status().done if not RunFolder(output / cell).finished]
    if missing:
        raise InputError(f"{output}: the queue records {missing[0]} as finished, but its folder is "
                         "missing; give all workers of a queue the same output folder, and a new "
                         "--storage if you removed the run")
