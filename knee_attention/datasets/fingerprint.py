"""Records of a data set's images, with which a resumed run checks that the data are the same."""

import csv
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from knee_attention.datasets.dataset import files_by_split, is_hdf5
from knee_attention.datasets.hdf5 import read_contents, stored_knee
from knee_attention.datasets.knees import stratified_subset
from knee_attention.datasets.layout import SPLITS
from knee_attention.errors import InputError
from knee_attention.files import open_hdf5, unescaped, write_table

DIGEST_LENGTH = 16
"""Hexadecimal digits of an image's digest. They suffice to tell 7,000 images apart."""

PORTION = 256
"""Number of images that a thread reads per task."""

MOST_DIGESTS = 2**17
"""Number of digests kept in memory, so that several experiments read each image only once."""


class ImageRecord(NamedTuple):
    """One image of a data set.

    Attributes:
        split: the image's split.
        file: its file name without the folder, or `<id>_<side>` in an HDF5 file.
        label: its label: the Kellgren-Lawrence grade.
        digest: digest of the file's bytes, or of the pixels in an HDF5 file; blank if the file
            cannot be read.
    """

    split: str
    file: str
    label: str
    digest: str


def dataset_records(
    path: str | os.PathLike,
    limit: int | None = None,
    seed: int = 0,
    wanted: tuple[str, ...] = SPLITS,
) -> tuple[ImageRecord, ...]:
    """Records of the images that `load_dataset` reads with the same arguments.

    Images that turn out to be unreadable are included.

    Raises:
        InputError: as for `load_dataset`.
    """
    path = Path(path)
    return (_hdf5_records if is_hdf5(path) else _folder_records)(path, limit, seed, wanted)


def file_records(images: Iterable[tuple[str, str, str, Path]]) -> tuple[ImageRecord, ...]:
    """Records of any image files.

    Args:
        images: split, name, label and path of each.
    """
    images = list(images)

    def record(start: int) -> list[ImageRecord]:
        portion = images[start : start + PORTION]
        return [ImageRecord(*known, _file_digest(path)) for *known, path in portion]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        portions = pool.map(record, range(0, len(images), PORTION))
        return tuple(record for portion in portions for record in portion)


def write_records(path: Path, records: Iterable[ImageRecord]) -> None:
    """Write records as a CSV file.

    Raises:
        InputError: the file cannot be written.
    """
    write_table(path, list(ImageRecord._fields), (record._asdict() for record in records))


def read_records(path: Path) -> tuple[ImageRecord, ...]:
    """Read records that `write_records` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            header, *rows = csv.reader(file)
            if tuple(header) == ImageRecord._fields:
                return tuple(ImageRecord._make(map(unescaped, row)) for row in rows)
    except (OSError, csv.Error, TypeError, ValueError):
        pass
    raise InputError(f"{path}: the file is damaged; restore this list of the run's images, "
                     "or train again")


def difference(before: Iterable[ImageRecord], now: Iterable[ImageRecord]) -> str:
    """The difference between two sets of images, in words; blank if they are the same.

    Neither the order of the images nor the path of their folder matters.
    """
    before, now = sorted(before), sorted(now)
    if before == now:
        return ""
    ours, theirs = _by_name(before), _by_name(now)
    if ours and theirs and not ours.keys() & theirs.keys():
        return "no image in common"
    kinds = defaultdict(list)
    for name in sorted(ours.keys() | theirs.keys()):
        kind = _kind_of_difference(ours.get(name), theirs.get(name))
        if kind:
            kinds[kind].append(name)
    count = len(ours)
    return ", ".join(
        f"{len(names)} of {count} images {kind} (the first {names[0]})"
        if kind != "new" else f"{len(names)} new images (the first {names[0]})"
        for kind, names in kinds.items()
    )  # fmt: skip


def _by_name(records: Iterable[ImageRecord]) -> dict[str, list[ImageRecord]]:
    """Group records by file name; several splits may have the same name."""
    found = defaultdict(list)
    for record in records:
        found[record.file].append(record)
    return found


def _kind_of_difference(
    before: list[ImageRecord] | None, now: list[ImageRecord] | None
) -> str | None:
    if before is None:
        return "new"
    if now is None:
        return "missing"
    for field, kind in (("split", "in another split"), ("label", "with another label"),
                        ("digest", "with other content")):  # fmt: skip
        if [getattr(record, field) for record in before] != [getattr(x, field) for x in now]:
            return kind
    return None


def _folder_records(root: Path, limit, seed, wanted) -> tuple[ImageRecord, ...]:
    return file_records(
        (split, file.path.name, str(file.grade), file.path)
        for split, files in files_by_split(root, limit, seed, wanted).items()
        for file in files
    )


def _file_digest(path: Path) -> str:
    try:
        status = path.stat()
        regular = stat.S_ISREG(status.st_mode)  # reading a pipe would block
        return _digest_of_file(str(path), *_stamp(status)) if regular else ""
    except OSError:
        return ""


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Values of a file's status of which at least one changes when the content does."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(MOST_DIGESTS)
def _digest_of_file(path: str, *stamp: int) -> str:
    with open(path, "rb", buffering=0) as file:
        return _digest(file.read())


def _digest(content) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()[:DIGEST_LENGTH]


def _hdf5_records(path: Path, limit, seed, wanted) -> tuple[ImageRecord, ...]:
    contents = read_contents(path)
    rows = []
    for split in wanted:
        places = np.flatnonzero(contents.splits == split)
        rows += places[stratified_subset(contents.grades[places], limit, seed)].tolist()
    digests = _stored_digests(str(path), tuple(rows), *_stamp(path.stat()))
    return tuple(
        ImageRecord(
            str(contents.splits[row]), contents.names[row], str(contents.grades[row]), digest
        )
        for row, digest in zip(rows, digests, strict=True)
    )


@lru_cache(2)
def _stored_digests(path: str, rows: tuple[int, ...], *stamp: int) -> list[str]:
    with open_hdf5(path) as file:
        return [_digest(stored_knee(file["images"], row).tobytes()) for row in rows]
