"""What a data set holds, image by image, so that a run recognises the data it began on."""

import csv
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from knee_attention.datasets.dataset import is_hdf5, may_be_missing
from knee_attention.datasets.hdf5 import read_contents, stored_knee
from knee_attention.datasets.knees import stratified_subset
from knee_attention.datasets.layout import SPLITS, required_files, split_folder
from knee_attention.errors import InputError
from knee_attention.files import open_hdf5, unescaped, write_table

DIGEST_LENGTH = 16
"""Of an image's digest: 7,000 images share none by chance, and the table stays small."""

PORTION = 256
"""Images that a thread reads in one go."""

MOST_DIGESTS = 2**17
"""Digests kept in memory, so that a table's experiments read each image once."""


class ImageRecord(NamedTuple):
    """One image of a data set.

    Attributes:
        split: the split it is in.
        file: its name without its folder, or `<id>_<side>` in an HDF5 file.
        label: what is known of it: the Kellgren-Lawrence grade.
        digest: of the file's bytes, or of the pixels in an HDF5 file; blank if it cannot be read.
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
    """The images of a data folder or HDF5 file that `load_dataset` reads for the same arguments,
    also those that it finds to be unreadable.

    Raises:
        InputError: `load_dataset` refuses the data too.
    """
    path = Path(path)
    return (_hdf5_records if is_hdf5(path) else _folder_records)(path, limit, seed, wanted)


def file_records(images: Iterable[tuple[str, str, str, Path]]) -> tuple[ImageRecord, ...]:
    """The records of any images.

    Args:
        images: split, name, label, and the file of each.
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
    """Read what `write_records` wrote.

    Raises:
        InputError: a damaged file.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            header, *rows = csv.reader(file)
            if tuple(header) == ImageRecord._fields:
                return tuple(ImageRecord._make(map(unescaped, row)) for row in rows)
    except (OSError, csv.Error, TypeError, ValueError):
        pass
    raise InputError(f"{path}: a damaged file, which should say what data the run began on")


def difference(before: Iterable[ImageRecord], now: Iterable[ImageRecord]) -> str:
    """How two sets of images differ, in words; blank if they hold the same.

    The order of the images does not matter, nor where their folder lies.
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
    """Records by name; a split may hold a name of another split."""
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
    images = []
    for split in wanted:
        if may_be_missing(split, wanted) and split_folder(root, split) is None:
            continue
        found = required_files(root, split)
        chosen = stratified_subset(np.array([file.grade for file in found]), limit, seed)
        asked = [found[position] for position in chosen]
        images += [(split, file.path.name, str(file.grade), file.path) for file in asked]
    return file_records(images)


def _file_digest(path: Path) -> str:
    try:
        status = path.stat()
        regular = stat.S_ISREG(status.st_mode)  # of a pipe one would wait for ever
        return _digest_of_file(str(path), *_stamp(status)) if regular else ""
    except OSError:
        return ""


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """What changes whenever a file's content does."""
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
        images = file["images"]
        as_stored = (
            images.chunks == (1, *images.shape[1:])
            and images.id.get_create_plist().get_nfilters() == 0
        )
        return [_digest(_stored_pixels(images, row, as_stored)) for row in rows]


def _stored_pixels(images: h5py.Dataset, row: int, as_stored: bool) -> bytes:
    """The pixels of one knee; where each lies by itself as it is, without what HDF5 does for it,
    which takes four times as long.
    """
    if as_stored:
        with suppress(OSError, RuntimeError, ValueError):  # never written, or damaged
            return images.id.read_direct_chunk((row, 0, 0))[1]
    return stored_knee(images, row).tobytes()
