"""Making the folder of a training set: train|validation|test/<grade>/<id>_R.png."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from knee_attention.data_prep.splits import assign, split_shares
from knee_attention.datasets.layout import (
    FOLDERS,
    MANIFEST,
    SPLITS,
    graded_files,
    read_manifest,
)
from knee_attention.errors import InputError
from knee_attention.files import remove_remains, write_table, written_whole
from knee_attention.films.legs import knee_name

MANIFEST_COLUMNS = ["id", "subject", "side", "kl", "split", "file", "cohort", "visit", "source"]
"""Columns of manifest.csv; `file` is relative to the manifest's folder."""


def is_manifest(file: Path) -> bool:
    """Whether a file is the manifest of a training set, by its name and its columns."""
    if file.name != MANIFEST:
        return False
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            return next(lines, "").strip().split(",") == MANIFEST_COLUMNS
    except OSError:
        return False


def split_rows(
    knees: Sequence[dict], test: float, validation: float, seed: int, by_knee: bool, folds: int
) -> list[list[dict]]:
    """Give every knee a split.

    Args:
        knees: rows with id, subject, side, kl, source.
        test: share of the test set; ignored with several folds, where the test set is one fold.
        validation: share of the remaining knees.
        seed: seed of the draw.
        by_knee: split knees instead of subjects, as the paper's wording suggests.
        folds: number of folds of a cross-validation; every knee is in one fold's test set.

    Returns:
        For each fold (one without cross-validation) the rows with split and file, sorted by file.

    Raises:
        InputError: there are fewer subjects than needed for non-empty splits.
    """
    owners = [f"{row['id']} {row['side']}" if by_knee else row["subject"] for row in knees]
    grades = [row["kl"] for row in knees]
    if folds == 1:
        assignments = [assign(owners, grades, split_shares(test, validation), seed)]
    else:
        fold_of = assign(owners, grades, dict.fromkeys(map(str, range(folds)), 1 / folds), seed)
        assignments = []
        for fold in map(str, range(folds)):
            rest = [at for at, owner in enumerate(owners) if fold_of[owner] != fold]
            shares = {"train": 1 - validation, "validation": validation}
            assignment = assign(
                [owners[at] for at in rest], [grades[at] for at in rest], shares, seed
            )
            assignments.append({**dict.fromkeys(owners, "test"), **assignment})
    for assignment in assignments:
        empty = [name for name in SPLITS if name not in assignment.values()]
        if empty:
            raise InputError(
                f"too few subjects to split: with {len(set(owners))} subjects these splits stay "
                f"empty: {', '.join(empty)}"
            )
    return [
        sorted(
            (_with_file(row, assignment[owner]) for row, owner in zip(knees, owners, strict=True)),
            key=lambda row: row["file"],
        )
        for assignment in assignments
    ]


def _with_file(row: dict, split: str) -> dict:
    name = knee_name(row["id"], row["side"]) + Path(row["source"]).suffix.lower()
    return {**row, "split": split, "file": f"{FOLDERS[split][0]}/{row['kl']}/{name}"}


def write_knees(folder: Path, rows: Sequence[dict], origin: Path, copy: bool) -> tuple[int, int]:
    """Link or copy the knees to the files in their rows, and write manifest.csv.

    Hard links are used if possible. The manifest is written before the knees, so that it lists the
    knees of a killed run.

    Args:
        folder: the training set's folder. Knees that already exist are kept. Knees in an earlier
            run's manifest that are not among the rows are removed.
        rows: one of the lists that `split_rows` returns.
        origin: the folder of the knees. Knees that an earlier run took from another folder are not
            removed; they cause an error.
        copy: copy instead of linking.

    Returns:
        The number of new knees, and the number of removed knees.

    Raises:
        InputError: the folder holds knees of another origin, or cannot be written.
    """
    from tqdm import tqdm

    rows = [{**row, "source": os.path.abspath(row["source"])} for row in rows]
    files = {row["file"] for row in rows}
    there = [file.name for split in SPLITS for file in graded_files(folder, split)]
    others = [name for name in there if name not in files]
    earlier = read_manifest(folder) if others else {}
    foreign = sorted(name for name in others if name not in earlier)
    if foreign:
        raise InputError(
            f"{folder} holds {len(foreign)} knees that do not belong to this split, such as "
            f"{foreign[0]}; choose another folder"
        )
    sources = (earlier[name].get("source") for name in others)
    if any(source and not Path(os.path.abspath(source)).is_relative_to(os.path.abspath(origin))
           for source in sources):  # fmt: skip
        raise InputError(
            f"{len(others)} knees in {folder} would be removed, but they come from another folder "
            f"than {origin}; choose another folder"
        )
    remove_remains(folder.glob("*/*/.*"))
    new = 0
    try:
        for name in others:
            (folder / name).unlink()
        write_table(folder / MANIFEST, MANIFEST_COLUMNS, rows)
        for row in tqdm(rows, desc=folder.name):
            target = folder / row["file"]
            if not _same_file(Path(row["source"]), target, copy):
                new += 1
                with written_whole(target) as temporary:
                    _link_or_copy(row["source"], temporary, copy)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None
    return new, len(others)


def _same_file(source: Path, target: Path, copied: bool) -> bool:
    if not target.exists():
        return False
    if target.samefile(source):
        return not copied
    return target.read_bytes() == source.read_bytes()


def _link_or_copy(source: str, target: Path, copy: bool) -> None:
    if not copy:
        try:
            os.link(os.path.realpath(source), target)  # a relative symbolic link would break
            return
        except OSError:  # another file system, or no support for hard links
            pass
    shutil.copyfile(source, target)
