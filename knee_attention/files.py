"""Files that appear whole or not at all, and files that are read as nothing but themselves."""

import csv
import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from knee_attention.errors import InputError

if TYPE_CHECKING:
    import h5py

RUN_MODEL = "model.h5"
"""The model in a run's folder, which is meant where the folder is named for it."""

KEPT_OF_NAME = 60
"""Characters; a file's name has at most 255 bytes, and a character up to four of them."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What writing fails with when the disk, a quota or a limit is full; no file is named with it."""

FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How text begins that a spreadsheet runs as a formula, or that was escaped (OWASP, "CSV
Injection")."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
"""Text that a spreadsheet reads as a number, whatever its sign."""


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the name `path` when the block ends well.

    What was written is on the disk before it is renamed, so that after a power cut the name leads
    to the old content or to the new one.

    The temporary name keeps the suffix, because Keras and OpenCV choose the format by it, and no
    more than the end of a long name, which has to have room for what is put before it.

    Raises:
        InputError: the file cannot be written, for want of room or of a place.
    """
    path = Path(path)
    make_folder(path.parent)
    beside = path.with_name(f".{os.getpid()}.{path.name[-KEPT_OF_NAME:]}")
    try:
        yield beside
        # What was made read-only, as a link to such a file is, cannot be opened to write.
        with beside.open("r+b" if os.access(beside, os.W_OK) else "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        concerned = {os.fspath(name) for name in (error.filename, error.filename2) if name}
        if error.errno in NO_ROOM or str(beside) in concerned:
            raise InputError(f"{path} cannot be written: {error.strerror}") from None
        raise
    finally:
        beside.unlink(missing_ok=True)


def make_folder(path: str | os.PathLike) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        InputError: it cannot be made; said before work begins that would be lost.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path} cannot be written: it is a file, not a folder") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def keep_inputs(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse to write over what is read, under whatever name; asked before anything is written.

    Args:
        inputs: files that are read.
        outputs: files that will be written.

    Raises:
        InputError: an output is an input; it names the first one.
    """
    read = {_identity(path) for path in inputs} - {None}
    for path in outputs:
        if _identity(path) in read:
            raise InputError(f"{path}: is read here, and would be written over; choose another "
                             "place to write to")


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file's names and links have in common; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write `content` as readable JSON, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file that holds names and values.

    Raises:
        InputError: no such file, or a damaged one.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: a damaged file ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a damaged file, it does not hold names and values")
    return content


@contextmanager
def open_hdf5(
    path: str | os.PathLike, content: BinaryIO | None = None
) -> Iterator["h5py.File"]:
    """Open an HDF5 file to read, if all that it holds lies in itself.

    HDF5 would follow links and file names to whatever else the user may read.

    Args:
        path: the file.
        content: the HDF5 file itself, where it lies inside the file `path`.

    Raises:
        InputError: something in it lies in another file.
        OSError and others: as h5py says that the file is damaged, or none of HDF5.
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
                             "all of an HDF5 file has to be in it")
        yield file


def files_below(folder: Path, output: Path | None = None) -> list[Path]:
    """Every file below a folder but hidden ones, sorted.

    Linked folders are followed, after the folder itself; no folder is listed twice, none that
    `folder` lies in, and not `output`.

    Raises:
        InputError: a folder cannot be read.
    """
    seen = {str(parent) for parent in folder.resolve().parents}
    seen |= {os.path.realpath(output)} if output else set()
    files, to_list = [], [folder]

    def refuse(error: OSError):
        raise InputError(f"{error.filename}: {error.strerror}; what lies there would be missing")

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
    """Remove those files that a killed run had begun: they have names `written_whole` gives."""
    for path in paths:
        if re.match(r"\.\d+\..+", path.name) and not path.is_dir():
            path.unlink(missing_ok=True)


def write_table(path: Path, columns: list[str], rows: Iterable[dict]) -> None:
    """Write rows as a CSV file, whole or not at all; what a row lacks is left blank. Text that a
    spreadsheet would take for a formula is escaped, as `escaped` has it.

    Raises:
        InputError: the file cannot be written there.
    """
    with written_whole(path) as beside, open_table(beside) as file:
        writer = TableWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def open_table(path: Path) -> TextIO:
    """A CSV file to write. A file's name may hold bytes that are no UTF-8; they are written as they
    are.
    """
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


class TableWriter(csv.DictWriter):
    """A writer of CSV files that escapes the cells that a spreadsheet would run as formulas."""

    def writerow(self, rowdict):
        return super().writerow({name: escaped(cell) for name, cell in rowdict.items()})

    def writerows(self, rowdicts):
        for row in rowdicts:
            self.writerow(row)


def table_rows(file: TextIO) -> list[dict[str, str]]:
    """The rows of an open CSV file, without the escapes of `TableWriter`; a cell that is not there
    is blank.
    """
    rows = csv.DictReader(file, restval="")
    return [{name: unescaped(cell) for name, cell in row.items()} for row in rows]


def escaped(cell):
    """A cell as it is written: an apostrophe goes before text that begins like a formula, such as
    the name of a file. Numbers stay numbers.
    """
    if not isinstance(cell, (str, os.PathLike)):
        return cell
    text = os.fspath(cell)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unescaped(cell):
    """A cell that was written by way of `escaped`, as it was before."""
    is_escaped = isinstance(cell, str) and cell.startswith("'") and FORMULA.match(cell)
    return cell[1:] if is_escaped else cell
