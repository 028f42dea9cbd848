"""DICOM files that wait on the disk, so that they outlive the process that received them."""

import threading
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import make_folder, remove_remains, written_whole

QUEUES = {"films": 1, "reports": 2}
"""The folders of a node's queue, and how many files a film has in each."""

REFUSED = "refused"
"""That of films and reports that nobody takes."""


def refuse_other_folder(folder: Path) -> None:
    """Keep a node away from folders that are none of its own: it removes what it has graded.

    Raises:
        InputError: the folder holds something else than the queue of a node.
    """
    # What is hidden, as a lock is, and what a file system leaves at its root, is nobody's work.
    held = {path.name for path in folder.glob("[!.]*")} - {"lost+found"}
    others = held - {*QUEUES, REFUSED}
    if not others and not set(QUEUES) <= held:
        # A node that was killed at its start left the first of its folders, empty.
        others = {name for name in held if any((folder / name).iterdir())}
    if others:
        raise InputError(f"{folder}: holds other files than the queue of a node; choose another "
                         "--queue")


class Spool:
    """A folder of waiting DICOM files, one an SOP instance, which one thread works off.

    A file that arrives again while the thread works at it stays: only what was read is removed.

    Args:
        folder: made if it is not there; what a killed process had begun in it is removed.
        limit: how many may wait.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, limit: int):
        make_folder(folder)
        remove_remains(folder.iterdir())
        self.folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._read: Path | None = None

    def waiting(self) -> list[Path]:
        """The files, the oldest first."""
        return sorted(self._files(), key=lambda path: path.stat().st_mtime_ns)

    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return len(self._files()) >= self.limit

    def _files(self) -> list[Path]:
        return list(self.folder.glob("[!.]*.dcm"))  # what begins with a dot is being written

    def put(self, uid: str, content: bytes) -> None:
        """Keep a file, on the disk when this returns; it replaces one of the same instance.

        Args:
            uid: its SOPInstanceUID, of digits and dots.
            content: the whole file.

        Raises:
            InputError: the disk is full.
        """
        path = self.folder / f"{uid}.dcm"
        with self._lock:
            with written_whole(path) as beside:
                beside.write_bytes(content)
            if self._read == path:
                self._read = None

    def read(self, path: Path) -> bytes:
        """The content of a waiting file, which `remove` or `move` may then take away."""
        with self._lock:
            self._read = path
            return path.read_bytes()

    def remove(self, path: Path) -> None:
        """Remove the file that was read last, unless another took its place since."""
        with self._lock:
            if self._read == path:
                path.unlink(missing_ok=True)

    def move(self, path: Path, folder: Path) -> None:
        """Move the file that was read last to a folder, unless another took its place since.

        Raises:
            InputError: the folder cannot be made.
        """
        make_folder(folder)
        with self._lock:
            if self._read == path:
                path.replace(folder / path.name)
