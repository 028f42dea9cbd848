"""Work on many files: in parallel, restartable, and with an account of every one of them."""

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
"""Takes a source, gives one row per file written (its name under "file"); raises ImageError."""

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Has glibc keep a film's memory for the next film: handed back and asked for again, the 2,900 page
faults of a 2494x2048 film took a tenth of a worker's time. Other C libraries ignore it."""


def process_files(
    sources: Iterable[Path], work: Work, journal: Journal, workers: int = 1, title: str = ""
) -> Account:
    """Do the work on every source that no earlier run has finished.

    Args:
        sources: the files.
        work: a function that can be pickled.
        journal: where outcomes are kept.
        workers: processes; 1 works in this one.
        title: what the progress bar says.

    Returns:
        The account, in the order of the sources; its rows also have "source".

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
            if not outcome.pop("passing"):  # else the next run tries again
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
    """Yield (item, function(item)) from processes as they come, holding a few at a time."""
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
            "a worker process died, perhaps for want of memory; "
            "the same command goes on from here, with fewer --workers if need be"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(function: Callable) -> None:
    """Take the function once, not with every item: it may carry a large table."""
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
    """A worker whose parent was killed would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)
