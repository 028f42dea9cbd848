"""Processing many files in parallel, resumably, and the summary of such a step.

The summary says how many files were found, written, and excluded for which reason.
"""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from knee_attention.data_prep.journal import JOURNAL, Journal
from knee_attention.errors import ImageError, InputError
from knee_attention.files import files_below, remove_remains
from knee_attention.films.image_files import is_image_file
from knee_attention.startup import ignore_dicom_warnings


@dataclass
class Summary:
    """The summary of a step; every source found is either written or excluded.

    Attributes:
        found: number of sources.
        rows: one row per file written.
        written: number of sources that were used.
        earlier: number of those that an earlier run finished.
        excluded: (source, reason) for every other source.
        removed: number of outputs of an earlier run that were removed, because their source is
            missing or excluded now.
        elsewhere: number of outputs of an earlier run on another folder; they are kept, also in the
            table.
        to_retry: absolute paths of the excluded sources that had a temporary error. The next run
            retries them; outputs of an earlier run are kept.
    """

    found: int
    rows: list[dict] = field(default_factory=list)
    written: int = 0
    earlier: int = 0
    excluded: list[tuple[str, str]] = field(default_factory=list)
    removed: int = 0
    elsewhere: int = 0
    to_retry: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        earlier = f" ({self.earlier} of them by an earlier run)" if self.earlier else ""
        lines = [f"found     {self.found:>7}", f"written   {self.written:>7}{earlier}"]
        lines.append(f"excluded  {len(self.excluded):>7}")
        # Scores differ for each film and would give each its own line.
        reasons = Counter(reason.partition(" (score ")[0] for _, reason in self.excluded)
        lines += [f"  {count:>7}  {reason}" for reason, count in reasons.most_common()]
        if self.removed:
            lines.append(f"removed   {self.removed:>7} whose source is missing or excluded now")
        if self.elsewhere:
            lines.append(f"elsewhere {self.elsewhere:>7} from another folder, kept")
        return "\n".join(lines)


def visible_files(
    folder: Path, output: Path, is_record: Callable[[Path], bool] = lambda file: False
) -> list[Path]:
    """List every file below a folder, sorted, without hidden files and outputs of this step.

    Args:
        folder: the folder to read.
        output: the folder that the step writes to; it may lie in `folder`.
        is_record: whether a file marks its folder as the output of an earlier run of this step.

    Raises:
        InputError: the folder is missing, holds no file, or is the output itself.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    if folder.resolve() == output.resolve():
        raise InputError(f"{folder} is both input and output; choose another folder for the output")
    files = files_below(folder, output)
    written = {file.parent for file in files if is_record(file)} - {folder}
    files = [file for file in files if not written & set(file.parents)]
    if not files:
        raise InputError(f"{folder} holds no files")
    return files


def refuse_other_images(output: Path) -> None:
    """Refuse an output folder with images that no earlier run wrote, so that none is overwritten.

    Raises:
        InputError: the folder holds images and no journal of an earlier run.
    """
    begun = (output / JOURNAL).exists() or not output.is_dir()
    other = None if begun else next(filter(is_image_file, output.iterdir()), None)
    if other:
        raise InputError(f"{output}: it holds images that no earlier run wrote, such as "
                         f"{other.name}; choose another folder")


Work = Callable[[Path], list[dict]]
"""A function that processes a source file. It returns one row per file written, with its name in
"file", and raises ImageError for a source that cannot be used."""

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Environment variables that make glibc keep freed memory for the next film. Without them, 2,900
page faults per film of 2494x2048 pixels take a tenth of a worker's time. Other C libraries ignore
these variables."""


def process_files(
    sources: Iterable[Path], work: Work, journal: Journal, workers: int = 1, title: str = ""
) -> Summary:
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
    summary = Summary(found=len(sources))
    outcomes = {source: journal.finished(source) for source in sources}
    known = [outcome for outcome in outcomes.values() if outcome]
    summary.earlier = sum(outcome["reason"] is None for outcome in known)
    to_do = [source for source in sources if outcomes[source] is None]
    attempts = in_parallel(partial(_attempt, work), to_do, workers)
    with tqdm(total=len(sources), initial=len(sources) - len(to_do), desc=title) as progress:
        for source, outcome in attempts:
            if outcome.pop("temporary"):
                summary.to_retry.add(os.path.abspath(source))
            else:
                journal.add(source, outcome)
            outcomes[source] = outcome
            progress.update()
    journal.close()
    for source, outcome in outcomes.items():
        if outcome["reason"] is None:
            summary.written += 1
            summary.rows += [{**row, "source": str(source)} for row in outcome["rows"]]
        else:
            summary.excluded.append((str(source), outcome["reason"]))
    return summary


def _attempt(work: Work, source: Path) -> dict:
    try:
        return {"rows": work(source), "reason": None, "temporary": False}
    except ImageError as error:
        return {"rows": [], "reason": error.reason, "temporary": error.temporary}


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
