"""The file that a model was loaded from, known again although its name may lead to another."""

import hashlib
import os
from pathlib import Path

from knee_attention.errors import InputError


class LoadedFile:
    """A model's file; made before the model is read.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._identity = _identity(path)
        self._digest: str | None = None

    def refuse_replaced(self) -> None:
        """Make sure that the file is still the one that was there before the model was read.

        Raises:
            InputError: it was replaced, changed or removed.
        """
        if _identity(self.path) != self._identity:
            raise InputError(f"{self.path}: replaced since the model was read; start again")

    def digest(self) -> str:
        """SHA-256 of the file, computed once: later replacements do not matter.

        Raises:
            InputError: the file was replaced before.
        """
        if self._digest is None:
            self.refuse_replaced()
            digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
            self.refuse_replaced()
            self._digest = digest
        return self._digest


def _identity(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
