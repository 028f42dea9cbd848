"""One process at a time works in a folder: that of a run, or the queue of a node."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from knee_attention.errors import InputError
from knee_attention.files import make_folder, remove_remains

try:
    import fcntl
except ImportError:  # Windows, where two processes in one folder are not noticed
    fcntl = None

LOCK_NAME = ".claim"
"""The file that a process locks as long as it works in the folder; a dead one holds no lock."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder, unless it is there, and keep others out until the block ends.

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
                (folder / LOCK_NAME).unlink()
                if made:
                    folder.rmdir()


def _locked(folder: Path) -> TextIO:
    """The lock's file, open and locked."""
    lock = folder / LOCK_NAME
    while True:
        try:
            file = lock.open("a+", encoding="ascii")
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
                             "folder, or wait") from None
        except OSError:  # a file system without locks
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()  # its owner removed it in this very moment
