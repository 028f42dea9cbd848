"""Loading a data set from a folder or an HDF5 file."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from knee_attention.datasets.hdf5 import read_contents, stored_knee
from knee_attention.datasets.knees import Dataset, Knees, in_threads, stratified_subset
from knee_attention.datasets.layout import (
    SPLITS,
    GradedFile,
    required_files,
    split_folder,
    unread_images,
)
from knee_attention.datasets.persons import Manifest
from knee_attention.errors import ImageError, InputError
from knee_attention.files import open_hdf5
from knee_attention.films.borders import without_frame
from knee_attention.films.cutting import Cutting
from knee_attention.films.displacement import Displacement
from knee_attention.films.image_files import read_image
from knee_attention.films.polarity import bone_bright, refused
from knee_attention.films.preparation import Preparation

T = TypeVar("T")

HDF5_SUFFIXES = (".h5", ".hdf5")


def load_dataset(
    path: str | os.PathLike,
    size: tuple[int, int],
    limit: int | None = None,
    seed: int = 0,
    wanted: tuple[str, ...] = SPLITS,
    polarity: str = "auto",
    preparation: Preparation | None = None,
) -> Dataset:
    """Read a data folder or an HDF5 file and prepare its knees.

    Args:
        path: a folder with the layout of module `layout`, or a file that
            `data_prep/make_dataset.py --h5` wrote.
        size: height and width of the prepared knees in pixels.
        limit: at most this many knees per split, in the split's proportions of grades.
        seed: decides which knees a limit keeps.
        wanted: the splits to read. The test split may be missing, unless only it is wanted.
        polarity: `"auto"` inverts photographic negatives, `"as-is"` keeps every image as it is.
        preparation: how the knees are prepared (default: `preparation_of(path)`). The joints of
            displaced knees are known; they are the `masks` of the result.

    Raises:
        InputError: the path is missing, has another layout, an empty split, or no readable image.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from knee_attention.films.image_files import write_image
        >>> from knee_attention.phantoms.film import phantom_film
        >>> film = phantom_film((2, 2), seed=0).image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_image(Path(folder, "train", "2", "9000001_R.png"), film)
        ...     write_image(Path(folder, "validation", "2", "9000002_R.png"), film)
        ...     knees = load_dataset(folder, size=(320, 224)).splits["train"]
        >>> knees.images.shape, knees.grades.tolist(), knees.subjects
        ((1, 320, 224), [2], ['9000001'])
    """
    path = Path(path)
    preparation = preparation or preparation_of(path)
    load = _load_hdf5 if is_hdf5(path) else _load_folder
    return load(path, size, limit, seed, wanted, polarity, preparation)


def preparation_of(path: str | os.PathLike) -> Preparation:
    """The preparation that a data folder or HDF5 file records; no image is read.

    Raises:
        InputError: the path is missing, is not a data set, or has a record with unknown options.
    """
    path = Path(path)
    return Preparation(read_contents(path).cutting if is_hdf5(path) else Cutting.read(path))


def is_hdf5(path: Path) -> bool:
    """Whether a data set is an HDF5 file; False for a folder.

    Raises:
        InputError: the path is missing or is another file.
    """
    if not path.exists():
        raise InputError(f"{path}: no such folder or file")
    if path.is_file() and path.suffix.lower() not in HDF5_SUFFIXES:
        raise InputError(f"{path}: expected a data folder or an .h5 file")
    return path.is_file()


def may_be_missing(split: str, wanted: Sequence[str]) -> bool:
    """Whether a split is optional: the test split, unless only it is wanted."""
    return split == "test" and len(wanted) > 1


def files_by_split(
    root: Path, limit: int | None, seed: int, wanted: Sequence[str]
) -> dict[str, list[GradedFile]]:
    """The images of a data folder that are read, by split.

    Args:
        root: the data folder.
        limit: as for `load_dataset`.
        seed: as for `load_dataset`.
        wanted: as for `load_dataset`.

    Raises:
        InputError: a split is missing or empty, or has another layout.
    """
    found = {}
    for split in wanted:
        if may_be_missing(split, wanted) and split_folder(root, split) is None:
            continue
        files = required_files(root, split)
        chosen = stratified_subset(np.array([file.grade for file in files]), limit, seed)
        found[split] = [files[position] for position in chosen]
    return found


def _load_folder(root: Path, size, limit, seed, wanted, polarity, preparation) -> Dataset:
    splits, unreadable = {}, []
    manifest = Manifest.read(root)
    for split, asked in files_by_split(root, limit, seed, wanted).items():
        names = [file.name for file in asked]
        splits[split], failed = _read_knees(
            lambda name: read_image(root / name), names, root, names,
            np.array([file.grade for file in asked], np.int64),
            [manifest.subject_of(name) for name in names], size, preparation, polarity,
            f"reading {split}",
        )  # fmt: skip
        if len(failed) == len(asked):
            raise InputError(f"{split_folder(root, split)}: none of its {len(asked)} images can "
                             f"be read (the first error: {failed[0].reason})")
        unreadable += [*failed.values(), *unread_images(root, split)]
    names = [name for knees in splits.values() for name in knees.files]
    return Dataset(
        splits,
        unreadable=unreadable,
        preparation=preparation,
        manifest_remark=manifest.remark(names),
    )


def _read_knees(
    read: Callable[[T], np.ndarray], sources: Sequence[T], path: Path, files: list[str],
    grades: np.ndarray, subjects: list[str], size: tuple[int, int], preparation: Preparation,
    polarity: str, title: str,
) -> tuple[Knees, dict[int, ImageError]]:  # fmt: skip
    """Read and prepare knees in threads.

    Args:
        read: returns the image of a source, or raises ImageError.
        sources: what `read` takes for each knee.
        path: the data set, for errors.
        files: as in `Knees`.
        grades: as in `Knees`.
        subjects: as in `Knees`.
        size: height and width of the prepared knees in pixels.
        preparation: how the knees are prepared.
        polarity: as for `load_dataset`.
        title: the progress bar's text.

    Returns:
        The knees that can be prepared, and the errors of the others by position in `sources`.
    """
    images = np.empty((len(sources), *size), np.uint8)
    inverted, trimmed = np.zeros((2, len(sources)), bool)
    failed = {}

    def prepare(position: int) -> None:
        file = files[position]
        try:
            image, inverted[position] = bone_bright(read(sources[position]), polarity, "knee")
            within, frame = without_frame(image)
            trimmed[position] = bool(frame)
            images[position] = preparation.knee(within, size, file)
        except ValueError as error:
            failed[position] = refused(path / file, error, inverted[position])

    in_threads(prepare, len(sources), title)
    joints = None
    if preparation.displaced:
        joints = [Displacement.of(file).joint(size) for file in files]
    knees = Knees(
        images=images,
        grades=grades,
        files=files,
        subjects=subjects,
        masks=joints,
        inverted=[files[position] for position in np.flatnonzero(inverted)],
        trimmed=[files[position] for position in np.flatnonzero(trimmed)],
    )
    if failed:
        knees = knees.take(np.setdiff1d(np.arange(len(files)), list(failed)))
    return knees, dict(sorted(failed.items()))


def _load_hdf5(path: Path, size, limit, seed, wanted, polarity, preparation) -> Dataset:
    contents = read_contents(path)
    splits = {}
    for split in wanted:
        rows = np.flatnonzero(contents.splits == split)
        if len(rows) == 0:
            if may_be_missing(split, wanted):
                continue
            raise InputError(f"{path}: it holds no knees of the {split} split")
        rows = rows[stratified_subset(contents.grades[rows], limit, seed)]
        names = [contents.names[row] for row in rows]
        with open_hdf5(path) as file:
            splits[split], failed = _read_knees(
                partial(stored_knee, file["images"]), rows, path, names, contents.grades[rows],
                contents.subjects[rows].tolist(), size, preparation, polarity, f"reading {split}",
            )  # fmt: skip
        if failed:
            position, error = next(iter(failed.items()))
            raise InputError(f"{path}: {names[position]} cannot be prepared: {error.reason}")
    return Dataset(splits, preparation=preparation)
