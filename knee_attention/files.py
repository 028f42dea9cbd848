"""Reading and writing files: atomic writes, JSON, CSV, and HDF5 without external links."""

import csv
import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from knee_attention.errors import InputError

if TYPE_CHECKING:
    import h5py

RUN_MODEL = "model.h5"
"""The model file in a run's folder. A command that takes a model also takes the folder."""

KEPT_OF_NAME = 60
"""Characters of a name that its temporary name keeps. A file name has at most 255 bytes, and a
character up to four."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a full disk, quota or size limit. They name no file."""

FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""The start of text that a spreadsheet runs as a formula, escaped or not (OWASP, "CSV
Injection")."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
"""Text that a spreadsheet reads as a number, with or without a sign."""


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block succeeds.

    The content is on the disk before the file is renamed. After a power cut, `path` has either its
    old content or the new one. The temporary name keeps the suffix, by which Keras and OpenCV
    choose the format.

    Raises:
        InputError: the file cannot be written there, or the disk is full.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path} cannot be written: it is a folder")
    make_folder(path.parent)
    beside = path.with_name(f".{os.getpid()}.{path.name[-KEPT_OF_NAME:]}")
    try:
        yield beside
        # A read-only file, or a link to one, cannot be opened for writing.
        with beside.open("r+b" if os.access(beside, os.W_OK) else "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        concerned = {os.fspath(name) for name in (error.filename, error.filename2) if name}
        if error.errno in NO_ROOM or str(beside) in concerned:
            raise InputError(f"{path} cannot be written: {error.strerror}") from None
        raise
    finally:
        with suppress(OSError):  # a read-only mount refuses even a missing name
            beside.unlink(missing_ok=True)


def reserve(path: Path, size: int) -> None:
    """Write a file of zeros, which raises an OSError on a full disk, where HDF5 would crash.

    Args:
        path: the file that HDF5 will replace.
        size: an upper bound of its bytes.
    """
    path.write_bytes(bytes(size))


def make_folder(path: str | os.PathLike) -> None:
    """Create a folder and its parents if they do not exist, for files to be written there.

    Raises:
        InputError: it cannot be created, or files in it cannot be written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path} cannot be written: it is a file, not a folder") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission, or a read-only disk")


def keep_inputs(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse to overwrite an input file, also through a link or another name.

    Args:
        inputs: files that are read.
        outputs: files that will be written.

    Raises:
        InputError: an output is an input; the message names the first one.
    """
    read = {_identity(path) for path in inputs} - {None}
    for path in outputs:
        if _identity(path) in read:
            raise InputError(f"{path}: this input file would be overwritten; choose another "
                             "output")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which all names of a file share; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write `content` as indented JSON, atomically."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file that holds an object.

    Raises:
        InputError: the file does not exist or is damaged.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: a damaged file ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a damaged file, not a JSON object")
    return content


@contextmanager
def open_hdf5(
    path: str | os.PathLike, content: BinaryIO | None = None
) -> Iterator["h5py.File"]:
    """Open an HDF5 file for reading, unless it refers to data in other files.

    HDF5 would follow such references to any file that the user may read.

    Args:
        path: the file, which messages name.
        content: the HDF5 data, if they lie inside the file `path`, such as a `.keras` archive.

    Raises:
        InputError: some of its data lie in another file.
        OSError and others: h5py's errors for a damaged file or another format.
    """
    import h5py

    def elsewhere(name: str, thing: h5py.HLObject) -> str | None:
        if isinstance(thing, h5py.Dataset) and (thing.external or thing.is_virtual):
            return name
        links = thing if isinstance(thing, h5py.Group) else ()
        kinds = {key: thing.get(key, getclass=True, getlink=True) for key in links}
        return next((f"{name}/{key}" for key in kinds if kinds[key] is h5py.ExternalLink), None)

    with h5py.File(content or path, "r") as file:
        found = elsewhere("", file) or file.visititems(elsewhere)
        if found:
            raise InputError(f"{path}: {found.strip('/')} lies in another file, which is not read; "
                             "store all data in this file")
        yield file


def files_below(folder: Path, output: Path | None = None) -> list[Path]:
    """All files below a folder except hidden ones, sorted.

    Linked folders are followed, but each folder is listed once. `output` and links to parents of
    `folder` are left out.

    Raises:
        InputError: a folder cannot be read.
    """
    seen = {str(parent) for parent in folder.resolve().parents}
    seen |= {os.path.realpath(output)} if output else set()
    files, to_list = [], [folder]

    def refuse(error: OSError):
        raise InputError(f"{error.filename}: {error.strerror}; its files would be missing")

    for start in to_list:
        for place, folders, names in os.walk(start, onerror=refuse):
            if os.path.realpath(place) in seen:
                folders.clear()
                continue
            seen.add(os.path.realpath(place))
            folders[:] = [name for name in folders if not name.startswith(".")]
            links = (Path(place, name) for name in sorted(folders))
            to_list += [link for link in links if link.is_symlink()]
            files += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(files)


def remove_remains(paths: Iterable[Path]) -> None:
    """Remove the temporary files of `written_whole` that a killed process left among `paths`."""
    for path in paths:
        if re.match(r"\.\d+\..+", path.name) and not path.is_dir():
            path.unlink(missing_ok=True)


def write_table(path: Path, columns: list[str], rows: Iterable[dict]) -> None:
    """Write rows as a CSV file, atomically.

    Missing cells are left blank. Text that a spreadsheet would run as a formula is escaped, see
    `escaped`.

    Raises:
        InputError: the file cannot be written there.
    """
    with written_whole(path) as beside, open_table(beside) as file:
        writer = TableWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def open_table(path: Path) -> TextIO:
    """Open a CSV file for writing. Bytes of file names that are not UTF-8 are written unchanged."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


class TableWriter(csv.DictWriter):
    """A CSV writer that escapes cells which a spreadsheet would run as formulas."""

    def writerow(self, rowdict):
        return super().writerow({name: escaped(cell) for name, cell in rowdict.items()})

    def writerows(self, rowdicts):
        for row in rowdicts:
            self.writerow(row)


def table_rows(file: TextIO) -> list[dict[str, str]]:
    """The rows of an open CSV file, without the escapes of `TableWriter`; missing cells are blank.
    """
    rows = csv.DictReader(file, restval="")
    return [{name: unescaped(cell) for name, cell in row.items()} for row in rows]


def escaped(cell):
    """A cell as it is written: text that starts like a formula gets an apostrophe before it.

    Numbers stay numbers.
    """
    if not isinstance(cell, (str, os.PathLike)):
        return cell
    text = os.fspath(cell)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unescaped(cell):
    """The text of a cell before `escaped` changed it."""
    is_escaped = isinstance(cell, str) and cell.startswith("'") and FORMULA.match(cell)
    return cell[1:] if is_escaped else cell
