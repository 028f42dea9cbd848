"""A lock that keeps other processes out of a folder, such as a run's or a node's queue."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from knee_attention.errors import InputError
from knee_attention.files import make_folder, remove_remains

try:
    import fcntl
except ImportError:  # Windows has no such locks: two processes in a folder are not detected
    fcntl = None

LOCK_NAME = ".claim"
"""The file that a process locks while it works in the folder. The lock ends with the process."""


@contextmanager
def locked(folder: Path, clean: bool = True) -> Iterator[None]:
    """Create a folder if it does not exist, and lock it until the block ends.

    At the end the folder is removed if it was created here and is empty.

    Args:
        folder: the folder.
        clean: remove the temporary files of a killed process.

    Raises:
        InputError: the folder is not writable, or another process has locked it.
    """
    made = not folder.exists()
    make_folder(folder)
    with _locked(folder) as file:
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        try:
            if clean:
                remove_remains(folder.rglob(".*"))
            yield
        finally:
            with suppress(OSError):  # Windows cannot remove an open file
                (folder / LOCK_NAME).unlink()
                if made:
                    folder.rmdir()


def _locked(folder: Path) -> TextIO:
    """Open and lock the lock file."""
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
        except OSError:  # the file system does not support locks
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()  # its owner removed it between opening and locking
