"""The layout of a data folder: `train|validation|test/<grade>/<image>`.

Grades are 0 to 4; `val` may stand for `validation`, as in the public knee sets. An optional
manifest.csv names the person of each knee.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import ImageError, InputError
from knee_attention.files import table_rows
from knee_attention.limits import GRADES

SPLITS = ("train", "validation", "test")

FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
"""The accepted folder names of each split. The first is used for writing."""

MANIFEST = "manifest.csv"
"""The table of knees that `make_dataset.py` writes into a data set."""


@dataclass(frozen=True)
class GradedFile:
    """An image of a data set, with the split and grade of its folder.

    Attributes:
        path: the file.
        name: the path relative to the data set, with slashes, as in the manifest.
        split: `"train"`, `"validation"` or `"test"`.
        grade: the Kellgren-Lawrence grade.
    """

    path: Path
    name: str
    split: str
    grade: int


def graded_files(root: Path, split: str) -> list[GradedFile]:
    """List the images of one split, sorted by grade and name, without hidden files.

    Args:
        root: the data set's folder.
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        The images; an empty list if the split's folder is missing or empty.

    Raises:
        InputError: the split has two folders, a folder that is not a grade, or a folder inside a
            grade's folder.
    """
    # Imported late: it needs OpenCV, and many users of this module only need SPLITS.
    from knee_attention.films.image_files import is_image_file

    return [
        GradedFile(path, path.relative_to(root).as_posix(), split, grade)
        for path, grade in _graded_paths(root, split)
        if is_image_file(path)
    ]


def unread_images(root: Path, split: str) -> list[ImageError]:
    """List files that look like images but are not among `graded_files`, with the reason.

    They have another format, lack the suffix of an image, or lie outside the grade folders.

    Args:
        root: the data set's folder.
        split: a split that `graded_files` accepts.
    """
    from knee_attention.films.file_kinds import why_unread
    from knee_attention.films.image_files import is_image_file, is_picture

    folder = split_folder(root, split)
    if folder is None:
        return []
    graded = [path for path, _ in _graded_paths(root, split) if not is_image_file(path)]
    found = [(path, why_unread(path)) for path in graded]
    outside = "an image outside the grade folders 0 to 4; its grade is unknown"
    for path in sorted(folder.iterdir()):
        if not (path.is_dir() or path.name.startswith(".") or is_picture(path)):
            found.append((path, outside if is_image_file(path) else why_unread(path)))
    return [ImageError(path, reason) for path, reason in found if reason]


def _graded_paths(root: Path, split: str) -> list[tuple[Path, int]]:
    """The files in a split's grade folders with their grades, sorted, without hidden files.

    Raises:
        InputError: as for `graded_files`.
    """
    folder = split_folder(root, split)
    if folder is None:
        return []
    found = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith("."):
            continue
        if child.name not in {str(grade) for grade in GRADES}:
            raise InputError(f"{child}: expected only grade folders named 0, 1, 2, 3 or 4 here")
        inside = sorted(path for path in child.iterdir() if not path.name.startswith("."))
        for path in inside:
            if path.is_dir():
                raise InputError(f"{path}: a grade folder must not contain folders")
        found += [(path, int(child.name)) for path in inside]
    return found


def split_folder(root: Path, split: str) -> Path | None:
    """The folder of a split; None without one.

    Raises:
        InputError: the split has two folders.
    """
    there = [root / name for name in FOLDERS[split] if (root / name).is_dir()]
    if len(there) > 1:
        names = " and ".join(folder.name for folder in there)
        raise InputError(f"{root}: {names} are the same split; keep one of them")
    return there[0] if there else None


def other_folders(root: Path) -> list[str]:
    """Names of the folders in a data folder that are no split, sorted; empty for an HDF5 file."""
    if not root.is_dir():
        return []
    known = {name for names in FOLDERS.values() for name in names}
    return sorted(path.name for path in root.iterdir()
                  if path.is_dir() and path.name not in known and not path.name.startswith("."))


def required_files(root: Path, split: str) -> list[GradedFile]:
    """List the images of a split, as `graded_files` does; the split must not be empty.

    Raises:
        InputError: there is no image, or `graded_files` refuses the folder.
    """
    folder = split_folder(root, split)
    if folder is None:
        there = ", ".join(name for name in SPLITS if split_folder(root, name))
        only = f", only {there}" if there else ""
        raise InputError(f"{root}: no folder named {split!r}{only}; "
                         "expected train|validation|test/<grade 0-4>/<image>")
    found = graded_files(root, split)
    if not found:
        unread = unread_images(root, split)
        more = f"; {len(unread)} files cannot be read (the first: {unread[0]})" if unread else ""
        raise InputError(f"{folder}: no images in its grade folders 0 to 4{more}")
    return found


def read_manifest(root: Path) -> dict[str, dict[str, str]]:
    """The rows of a data set's manifest by their column `file`; empty without a manifest.

    Raises:
        InputError: the manifest is not a table, or has no column `file`.
    """
    manifest = root / MANIFEST
    if not manifest.is_file():
        return {}
    try:
        with manifest.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = table_rows(file)
    except OSError as error:
        raise InputError(f"{manifest} cannot be read: {error.strerror or error}") from None
    except csv.Error as error:
        raise InputError(f"{manifest}: not a table ({error})") from None
    if rows and "file" not in rows[0]:
        raise InputError(f"{manifest}: expected the columns file and subject. "
                         f"Received: {', '.join(map(str, rows[0]))}")
    return {row["file"]: row for row in rows}
