"""Prepared knees of the three splits, from a folder or an HDF5 file.

A folder is laid out like the public knee sets: `train|validation|test/<grade>/<image>`, grades 0
to 4; `val` is accepted for `validation`, a missing `test` is allowed.
"""

import csv
import os
from pathlib import Path

import numpy as np

from knee_attention.datasets.hdf5 import read_hdf5
from knee_attention.datasets.knees import Dataset, Knees, in_threads, stratified_subset
from knee_attention.datasets.layout import SPLIT_OF_FOLDER, SPLITS
from knee_attention.errors import ImageError, InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import is_image_file, read_image
from knee_attention.films.names import subject_of
from knee_attention.films.polarity import bone_bright
from knee_attention.films.radiograph import prepare_knee
from knee_attention.kl import GRADES

HDF5_SUFFIXES = (".h5", ".hdf5")


def load_dataset(
    path: str | os.PathLike,
    size: tuple[int, int],
    limit: int | None = None,
    seed: int = 0,
    wanted: tuple[str, ...] = SPLITS,
    polarity: str = "auto",
) -> Dataset:
    """Read a data folder or HDF5 file.

    Args:
        path: a folder of the layout above, or a file of `data_prep/make_dataset.py --h5`.
        size: height and width of the prepared knees in pixels.
        limit: at most this many knees a split, each grade in its share.
        seed: decides which knees a limit keeps.
        wanted: the splits to read; the test split may be missing, unless it alone is asked for.
        polarity: `auto` turns photographic negatives, `as-is` takes every image as it is.

    Raises:
        InputError: nothing there, another layout, an empty split, no readable image.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such folder or file")
    if path.is_file():
        if path.suffix.lower() not in HDF5_SUFFIXES:
            raise InputError(f"{path}: expected a data folder or an .h5 file")
        return read_hdf5(path, size, limit, seed, wanted, polarity)
    return _load_folder(path, size, limit, seed, wanted, polarity)


def _load_folder(root: Path, size, limit, seed, wanted, polarity) -> Dataset:
    splits, unreadable = {}, []
    cutting = Cutting.read(root)
    subjects = _manifest_subjects(root)
    for split in wanted:
        folders = [root / name for name, held in SPLIT_OF_FOLDER.items() if held == split]
        folder = next(filter(Path.is_dir, folders), None)
        if folder is None:
            if split == "test" and len(wanted) > 1:
                continue
            there = [name for name in SPLITS if (root / name).is_dir()]
            raise InputError(
                f"{root}: no folder {split!r}{', only ' * bool(there)}{', '.join(there)}; "
                "expected train|validation|test/<grade 0-4>/<image>"
            )
        paths, grades = _graded_files(folder)
        chosen = stratified_subset(grades, limit, seed)
        images, turned, failed = _read_knees([paths[i] for i in chosen], size, split, polarity)
        unreadable += failed.values()
        if len(failed) == len(chosen):
            raise InputError(f"{folder}: none of its {len(chosen)} images can be read "
                             f"(the first: {unreadable[-1].reason})")
        kept = [i for position, i in enumerate(chosen) if position not in failed]
        files = [paths[i].relative_to(root).as_posix() for i in kept]
        splits[split] = Knees(
            images=images,
            grades=grades[kept],
            files=files,
            subjects=[subjects.get(file) or subject_of(file) for file in files],
            turned=[files[position] for position in np.flatnonzero(turned)],
        )
    return Dataset(splits, unreadable=unreadable, cutting=cutting)


def _graded_files(folder: Path) -> tuple[list[Path], np.ndarray]:
    """The images of one split and their grades, in the order of their names."""
    paths, grades = [], []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith("."):
            continue
        if child.name not in {str(grade) for grade in GRADES}:
            raise InputError(f"{child}: a grade folder is named 0, 1, 2, 3 or 4")
        inside = sorted(path for path in child.iterdir() if not path.name.startswith("."))
        for path in inside:
            if path.is_dir():
                raise InputError(f"{path}: a folder in a grade folder, which holds images alone")
        found = [path for path in inside if is_image_file(path)]
        paths += found
        grades += [int(child.name)] * len(found)
    if not paths:
        raise InputError(f"{folder}: no images in its grade folders 0 to 4")
    return paths, np.array(grades, np.int64)


def _read_knees(
    paths, size, split, polarity
) -> tuple[np.ndarray, np.ndarray, dict[int, ImageError]]:
    """Decode once, in threads, into one array; also tell which were turned, and what failed."""
    images = np.empty((len(paths), *size), np.uint8)
    turned = np.zeros(len(paths), bool)
    failed = {}

    def read(position: int) -> None:
        try:
            image, turned[position] = bone_bright(read_image(paths[position]), polarity)
            images[position] = prepare_knee(image, size)
        except ImageError as error:
            failed[position] = error
        except ValueError as error:
            failed[position] = ImageError(paths[position], str(error))

    in_threads(read, len(paths), f"reading {split}")
    if failed:
        images = np.delete(images, list(failed), axis=0)
        turned = np.delete(turned, list(failed))
    return images, turned, dict(sorted(failed.items()))


def _manifest_subjects(root: Path) -> dict[str, str]:
    """File -> subject, where `make_dataset.py` left its manifest."""
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        return {}
    try:
        with manifest.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return {row.get("file"): row.get("subject") for row in csv.DictReader(file)}
    except csv.Error as error:
        raise InputError(f"{manifest}: not a table ({error})") from None
