"""Detect that a model's file is replaced while the model is in use."""

import hashlib
import os
from pathlib import Path

from knee_attention.errors import InputError


class LoadedFile:
    """The identity of a model's file.

    Create it before reading the model, so that it notices a replacement during the reading.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._identity = _identity(path)
        self._digest: str | None = None

    def refuse_replaced(self) -> None:
        """Refuse a file that changed since this object was created.

        Raises:
            InputError: the file was replaced, changed or removed.
        """
        if _identity(self.path) != self._identity:
            raise InputError(f"{self.path}: replaced since the model was read; load it again")

    def digest(self) -> str:
        """SHA-256 of the file, as a hexadecimal string.

        It is computed once. A replacement after the first call changes nothing.

        Raises:
            InputError: the file was replaced before the first call.
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
