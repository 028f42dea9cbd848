"""The node's queues of DICOM files on disk, which survive the process."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import make_folder, remove_remains, written_whole

QUEUES = {"films": 1, "reports": 3}
"""The folders of a node's queue, and how many files a film has in each at most."""

REFUSED = "refused"
"""The folder of films that cannot be graded now, and of reports that the archive refuses."""


def refuse_other_folder(folder: Path) -> None:
    """Refuse a folder that is not the queue of a node, because a node removes graded films.

    Raises:
        InputError: the folder holds other files.
    """
    # Hidden files, such as a lock, and a file system's lost+found do not count.
    held = {path.name for path in folder.glob("[!.]*")} - {"lost+found"}
    others = held - {*QUEUES, REFUSED}
    if not others and not set(QUEUES) <= held:
        # A node that is killed at its start leaves only its first folder, which is empty.
        others = {name for name in held if any((folder / name).iterdir())}
    if others:
        raise InputError(f"{folder}: holds files that are not from a node's queue; choose another "
                         "--queue")


class Spool:
    """A folder of waiting DICOM files, one per SOP instance, which one thread processes.

    If a file arrives again while the thread processes it, the new one stays.

    Args:
        folder: created if it does not exist; temporary files of a killed process are removed.
        limit: how many files may wait.

    Raises:
        InputError: the folder cannot be created.
    """

    def __init__(self, folder: Path, limit: int):
        make_folder(folder)
        remove_remains(folder.iterdir())
        self.folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._read: Path | None = None

    def waiting(self) -> list[Path]:
        """The waiting files, oldest first; a file counts as new each time it is read."""
        dated = []
        for path in self._files():
            with suppress(FileNotFoundError):  # a user may remove files
                dated.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(dated)]

    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return len(self._files()) >= self.limit

    def _files(self) -> list[Path]:
        return list(self.folder.glob("[!.]*.dcm"))  # a name with a dot first is a temporary file

    def put(self, uid: str, content: bytes) -> None:
        """Write a file to disk; it replaces a file of the same instance.

        Args:
            uid: its SOPInstanceUID, digits and dots only.
            content: the whole file.

        Raises:
            InputError: the disk is full.
        """
        path = self.folder / f"{uid}.dcm"
        with self._lock:
            with written_whole(path) as beside:
                beside.write_bytes(content)
            self._sync_folder()
            if self._read == path:
                self._read = None

    def _sync_folder(self) -> None:
        """Flush the folder's entries to disk, so that a power cut does not lose new files."""
        if os.name != "posix":  # Windows cannot open a folder
            return
        with suppress(OSError):  # some file systems cannot do it
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def read(self, path: Path) -> bytes:
        """The content of a waiting file; `remove` or `move` then apply to it."""
        with self._lock:
            self._read = path
            with suppress(OSError):  # another user's file
                os.utime(path)  # a film that ends the process comes last after a restart
            return path.read_bytes()

    def remove(self, path: Path) -> None:
        """Remove the file that was read last, unless a new one has replaced it."""
        with self._lock:
            if self._read == path:
                path.unlink(missing_ok=True)

    def move(self, path: Path, folder: Path) -> None:
        """Move the file that was read last to a folder, unless a new one has replaced it.

        Raises:
            InputError: the folder cannot be created.
        """
        make_folder(folder)
        with self._lock:
            if self._read == path:
                path.replace(folder / path.name)
