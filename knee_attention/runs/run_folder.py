"""A run's folder: one process at a time works in it, and it takes nothing else of the user's."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from knee_attention.errors import InputError
from knee_attention.files import make_folder, read_json, remove_remains
from knee_attention.runs.experiment import Experiment

try:
    import fcntl
except ImportError:  # Windows, where two processes in one folder are not noticed
    fcntl = None

CLAIM = ".claim"
"""The file that a process locks as long as it works in the folder; a dead one holds no lock."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make a run's folder, unless it is there, and keep others out until the block ends.

    What a killed process had begun to write is removed, and in the end the folder too, if it was
    made here and stayed empty.

    Raises:
        InputError: the folder cannot be written to, or another process works in it.
    """
    made = not folder.exists()
    make_folder(folder)
    with _locked(folder) as file:
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        try:
            remove_remains(folder.rglob(".*"))
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                (folder / CLAIM).unlink()
                if made:
                    folder.rmdir()


def _locked(folder: Path) -> TextIO:
    """The claim's file, open and locked."""
    claim = folder / CLAIM
    while True:
        try:
            file = claim.open("a+", encoding="ascii")
        except OSError as error:
            raise InputError(f"{folder} cannot be written: {error.strerror}") from None
        if fcntl is None:
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                process = file.read().strip()
            raise InputError(f"{folder}: process {process} is working there; choose another "
                             "--output, or wait") from None
        except OSError:  # a file system without locks
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), claim.stat()):
                return file
        file.close()  # its owner removed it in this very moment


def refuse_overlap(experiment: Experiment, folder: Path, overwrite: bool) -> None:
    """Keep what a run reads apart from what it writes and may delete.

    Raises:
        InputError: the folder lies within the data, or holds what is to be read and would be
            deleted.
    """
    place = folder.resolve()
    if experiment.data and place.is_relative_to(Path(experiment.data).resolve()):
        raise InputError(f"{folder}: lies within the data, {experiment.data}; choose another "
                         "--output")
    for path in (experiment.data, experiment.weights):
        there = overwrite and path and Path(path).exists()
        if there and Path(path).resolve().is_relative_to(place):
            raise InputError(f"{folder}: --overwrite would delete {path}, which is read; choose "
                             "another --output")


def finished_results(experiment: Experiment, folder: Path) -> dict | None:
    """The results of a finished run; None where there is something to do.

    Raises:
        InputError: the folder holds something else, or another experiment.
    """
    described = folder / "experiment.json"
    if not described.exists():
        if any(path.name != CLAIM for path in folder.iterdir()):
            raise InputError(f"{folder}: holds other files and no run; choose another --output")
        return None
    # A run of an earlier version lacks the options that came later; it ran as their defaults say.
    before, now = Experiment().as_json() | read_json(described), experiment.as_json()
    different = [name for name in now if before[name] != now[name]]
    if different:
        name = different[0]
        raise InputError(
            f"{folder}: holds another experiment ({name} {before[name]!r}, not {now[name]!r}); "
            "choose another --output, or --overwrite"
        )
    finished = folder / "results.json"
    if not finished.exists():
        return None
    results = read_json(finished)
    if results.get("name") != experiment.name or results.get("split") not in results:
        raise InputError(f"{finished}: a damaged file or that of another run; --overwrite runs "
                         "this one again")
    return results


def clear(folder: Path) -> None:
    """Remove what a run's folder holds; the folder stays, as it may be a link to elsewhere.

    Raises:
        InputError: something cannot be removed.
    """
    try:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != CLAIM:
                path.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be cleared: {error.strerror}") from None
