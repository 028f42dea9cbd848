"""How a folder of knees by split and grade is laid out: for who reads it, fills it or checks it.

`train|validation|test/<grade>/<image>`, grades 0 to 4, as the public knee sets have it; `val` is as
good as `validation`. A manifest.csv, where there is one, tells the person of each knee.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import ImageError, InputError
from knee_attention.files import table_rows
from knee_attention.kl import GRADES

SPLITS = ("train", "validation", "test")

FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
"""The names that the folder of each split may have; the first is the one that is written."""

MANIFEST = "manifest.csv"
"""The table of the knees that `make_dataset.py` leaves in a data set."""


@dataclass(frozen=True)
class GradedFile:
    """An image of a data set, as its place tells.

    Attributes:
        path: the file.
        name: the same relative to the data set, with slashes, as the manifest has it.
        split: `"train"`, `"validation"` or `"test"`.
        grade: the Kellgren-Lawrence grade.
    """

    path: Path
    name: str
    split: str
    grade: int


def place_of(split: str, grade: int, name: str) -> str:
    """Where a knee's file belongs, relative to the data set."""
    return f"{FOLDERS[split][0]}/{grade}/{name}"


def graded_files(root: Path, split: str) -> list[GradedFile]:
    """The images of one split in the order of their grades and names, hidden ones left out.

    Args:
        root: the data set's folder.
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        None at all where the split has no folder, or an empty one.

    Raises:
        InputError: the split has two folders, a folder that is no grade's, or a folder in one.
    """
    from knee_attention.films.image_files import is_image_file  # OpenCV; many only ask for SPLITS

    return [
        GradedFile(path, path.relative_to(root).as_posix(), split, grade)
        for path, grade in _graded_paths(root, split)
        if is_image_file(path)
    ]


def unread_images(root: Path, split: str) -> list[ImageError]:
    """What looks like an image and is none of `graded_files`, with the reason: of another format,
    not named like an image, or beside the grade folders.

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
    beside = "an image beside the grade folders 0 to 4, so that its grade is not known"
    for path in sorted(folder.iterdir()):
        if not (path.is_dir() or path.name.startswith(".") or is_picture(path)):
            found.append((path, beside if is_image_file(path) else why_unread(path)))
    return [ImageError(path, reason) for path, reason in found if reason]


def _graded_paths(root: Path, split: str) -> list[tuple[Path, int]]:
    """The files in a split's grade folders and their grades, in order, hidden ones left out.

    Raises:
        InputError: as `graded_files` does.
    """
    folder = split_folder(root, split)
    if folder is None:
        return []
    found = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith("."):
            continue
        if child.name not in {str(grade) for grade in GRADES}:
            raise InputError(f"{child}: a grade folder is named 0, 1, 2, 3 or 4")
        inside = sorted(path for path in child.iterdir() if not path.name.startswith("."))
        for path in inside:
            if path.is_dir():
                raise InputError(f"{path}: a folder in a grade folder, which holds images alone")
        found += [(path, int(child.name)) for path in inside]
    return found


def split_folder(root: Path, split: str) -> Path | None:
    """The folder of a split; None where there is none.

    Raises:
        InputError: it has two.
    """
    there = [root / name for name in FOLDERS[split] if (root / name).is_dir()]
    if len(there) > 1:
        names = " and ".join(folder.name for folder in there)
        raise InputError(f"{root}: holds {names}, which are one split; keep one of them")
    return there[0] if there else None


def required_files(root: Path, split: str) -> list[GradedFile]:
    """The images of a split that cannot be done without, as `graded_files` has them.

    Raises:
        InputError: there is no image, or `graded_files` refuses the folder.
    """
    folder = split_folder(root, split)
    if folder is None:
        there = ", ".join(name for name in SPLITS if split_folder(root, name))
        only = f", only {there}" if there else ""
        raise InputError(f"{root}: no folder {split!r}{only}; "
                         "expected train|validation|test/<grade 0-4>/<image>")
    found = graded_files(root, split)
    if not found:
        unread = unread_images(root, split)
        more = f", and {len(unread)} that are not read (the first: {unread[0]})" if unread else ""
        raise InputError(f"{folder}: no images in its grade folders 0 to 4{more}")
    return found


def read_manifest(root: Path) -> dict[str, dict[str, str]]:
    """The rows of a data set's manifest by their column `file`; empty where there is none.

    Raises:
        InputError: no table, or one without a column `file`.
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
