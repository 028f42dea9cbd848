"""Prepared knees of the three splits, from a folder or an HDF5 file.

A folder is laid out like the public knee sets: `train|validation|test/<grade>/<image>`, grades 0
to 4; `val` is accepted for `validation`, a missing `test` is allowed.
"""

import csv
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from knee_attention.errors import ImageError, InputError
from knee_attention.files import open_hdf5
from knee_attention.films.cutting import Cutting
from knee_attention.films.names import subject_of
from knee_attention.films.polarity import bone_bright, is_negative, negative
from knee_attention.films.radiograph import prepare_knee
from knee_attention.films.reading import is_image_file, read_image
from knee_attention.films.splits import SPLIT_OF_FOLDER, SPLITS

GRADES = range(5)
HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Knees:
    """The knees of one split.

    Attributes:
        images: `(n, height, width)` uint8, prepared; indexed by an array of positions.
        grades: `(n,)` int64 Kellgren-Lawrence grades.
        files: the name of each knee's file, relative to the data set.
        subjects: the person each knee belongs to.
        masks: a `(height, width)` bool joint mask a knee, where the truth is known: of phantoms at
            the images' size, of experts at that of their files.
        turned: which of `files` are photographic negatives, shown here with bone bright.
    """

    images: "np.ndarray | StoredImages"
    grades: np.ndarray
    files: list[str]
    subjects: list[str]
    masks: Sequence[np.ndarray] | None = None
    turned: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.grades)

    def take(self, positions: np.ndarray) -> "Knees":
        """The knees at these positions, in their order."""
        files = [self.files[position] for position in positions]
        return Knees(
            images=self.images[positions],
            grades=self.grades[positions],
            files=files,
            subjects=[self.subjects[position] for position in positions],
            masks=None if self.masks is None else [self.masks[p] for p in positions],
            turned=[file for file in files if file in set(self.turned)],
        )

    def grade_counts(self) -> list[int]:
        """Number of knees of each grade."""
        return np.bincount(self.grades, minlength=len(GRADES)).tolist()


@dataclass(frozen=True)
class Dataset:
    """Knees by split, and the files that could not be read.

    Attributes:
        splits: `{"train": Knees, "validation": Knees, "test": Knees}`; test may be absent.
        synthetic: whether the knees are phantoms.
        unreadable: one `ImageError` for each file left out.
        cutting: how the knees were cut from films, where that is known.
    """

    splits: dict[str, Knees]
    synthetic: bool = False
    unreadable: list[ImageError] = field(default_factory=list)
    cutting: Cutting | None = None


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
        return _load_hdf5(path, size, limit, seed, wanted, polarity)
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


def stratified_subset(grades: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Positions of at most `limit` knees, every grade in its share, in their first order."""
    if limit is None or limit >= len(grades):
        return np.arange(len(grades))
    shuffled = np.random.default_rng(seed).permutation(len(grades))
    by_grade = shuffled[np.argsort(grades[shuffled], kind="stable")]
    steps = (np.arange(limit) + 0.5) * len(grades) / limit
    return np.sort(by_grade[steps.astype(int)])


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


def in_threads(work: Callable[[int], None], count: int, title: str) -> None:
    """Do `work(0)` to `work(count - 1)` in threads, under a progress bar."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in tqdm(pool.map(work, range(count)), total=count, desc=title, disable=None):
            pass


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


class StoredImages:
    """The images of one split in an HDF5 file, read and prepared as they are asked for."""

    def __init__(self, path: Path, rows: np.ndarray, size: tuple[int, int], polarity: str):
        self.stored = h5py.File(path, "r")["images"]
        self.rows = rows
        self.size = tuple(size)
        self.negative = np.zeros(len(self.stored), bool)
        if polarity == "auto":
            self._find_negatives()

    def _find_negatives(self) -> None:
        def look(place: int) -> None:
            row = self.rows[place]
            self.negative[row] = is_negative(self.stored[row])

        in_threads(look, len(self.rows), "looking for negatives")

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self.rows), *self.size)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions) -> np.ndarray:
        rows = np.atleast_1d(self.rows[positions])
        knees = np.stack([self._prepared(row) for row in rows])
        return knees if np.ndim(self.rows[positions]) else knees[0]


    def _prepared(self, row: int) -> np.ndarray:
        image = self.stored[row]
        return prepare_knee(negative(image) if self.negative[row] else image, self.size)


def _load_hdf5(path: Path, size, limit, seed, wanted, polarity) -> Dataset:
    columns = ("images", "grades", "ids", "sides", "subjects", "splits")
    try:
        with open_hdf5(path) as file:
            missing = [name for name in columns if name not in file]
            if missing:
                raise InputError(f"{path}: no data set of knees, it lacks {', '.join(missing)}")
            grades = file["grades"][:].astype(np.int64)
            ids, sides, subjects, split_names = (file[name].asstr()[:] for name in columns[2:])
            said = json.loads(file.attrs.get("cutting", "null"))
            cutting = said and Cutting.recorded(said, path)
    except InputError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError):
        raise InputError(f"{path}: not an HDF5 file, or a damaged one") from None
    if not np.isin(grades, GRADES).all():
        raise InputError(f"{path}: it holds grades other than 0 to 4")
    splits = {}
    for split in wanted:
        rows = np.flatnonzero(split_names == split)
        if len(rows) == 0:
            if split == "test" and len(wanted) > 1:
                continue
            raise InputError(f"{path}: it holds no {split} knees")
        rows = rows[stratified_subset(grades[rows], limit, seed)]
        images = StoredImages(path, rows, size, polarity)
        files = [f"{ids[row]}_{sides[row]}" for row in rows]
        splits[split] = Knees(
            images=images,
            grades=grades[rows],
            files=files,
            subjects=subjects[rows].tolist(),
            turned=[files[place] for place in np.flatnonzero(images.negative[rows])],
        )
    return Dataset(splits, cutting=cutting)
