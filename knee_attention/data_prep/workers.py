"""Processing many files in parallel, resumably, with a summary at the end."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path

from knee_attention.data_prep.file_summary import Account
from knee_attention.data_prep.journal import Journal
from knee_attention.errors import ImageError, InputError
from knee_attention.files import remove_remains
from knee_attention.startup import ignore_dicom_warnings

Work = Callable[[Path], list[dict]]
"""A function that processes a source file. It returns one row per file written, with its name in
"file", and raises ImageError for a source that cannot be used."""

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Environment variables that make glibc keep freed memory for the next film. Without them, 2,900
page faults per film of 2494x2048 pixels take a tenth of a worker's time. Other C libraries ignore
these variables."""


def process_files(
    sources: Iterable[Path], work: Work, journal: Journal, workers: int = 1, title: str = ""
) -> Account:
    """Process every source that no earlier run finished.

    Args:
        sources: the files.
        work: the function for one file; it must be picklable.
        journal: where outcomes are recorded.
        workers: number of processes; with 1 this process does the work.
        title: the progress bar's text.

    Returns:
        The summary, in the order of the sources; its rows also have "source".

    Raises:
        InputError: outputs cannot be written, or a worker died.
    """
    from tqdm import tqdm

    sources = list(sources)
    remove_remains(journal.path.parent.glob(".*"))
    account = Account(found=len(sources))
    outcomes = {source: journal.finished(source) for source in sources}
    known = [outcome for outcome in outcomes.values() if outcome]
    account.earlier = sum(outcome["reason"] is None for outcome in known)
    to_do = [source for source in sources if outcomes[source] is None]
    attempts = in_parallel(partial(_attempt, work), to_do, workers)
    with tqdm(total=len(sources), initial=len(sources) - len(to_do), desc=title) as progress:
        for source, outcome in attempts:
            if not outcome.pop("passing"):  # the next run retries after a passing error
                journal.add(source, outcome)
            outcomes[source] = outcome
            progress.update()
    journal.close()
    for source, outcome in outcomes.items():
        if outcome["reason"] is None:
            account.written += 1
            account.rows += [{**row, "source": str(source)} for row in outcome["rows"]]
        else:
            account.excluded.append((str(source), outcome["reason"]))
    return account


def _attempt(work: Work, source: Path) -> dict:
    try:
        return {"rows": work(source), "reason": None, "passing": False}
    except ImageError as error:
        return {"rows": [], "reason": error.reason, "passing": error.passing}


def in_parallel(function: Callable, items: list, workers: int) -> Iterator[tuple]:
    """Yield (item, function(item)) from worker processes as they finish; few are held in memory."""
    if workers == 1 or len(items) < 2:
        for item in items:
            yield item, function(item)
        return
    for name, value in KEEP_MEMORY.items():
        os.environ.setdefault(name, value)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin_worker, initargs=(function,)
    )
    try:
        waiting, pending = iter(items), {}
        while True:
            for item in islice(waiting, 8 * workers - len(pending)):
                pending[pool.submit(_call, item)] = item
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), future.result()
    except BrokenProcessPool:
        raise InputError(
            "a worker process died, perhaps because memory ran out; repeat the command to resume, "
            "with fewer --workers if it dies again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(function: Callable) -> None:
    """Receive the function once per worker, not with every item: it may hold a large table."""
    import cv2

    global _function
    _function = function
    ignore_dicom_warnings()
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _call(item):
    return _function(item)


def _end_with_parent() -> None:
    """End this worker when its parent dies; otherwise it would wait for work forever."""
    multiprocessing.parent_process().join()
    os._exit(1)
