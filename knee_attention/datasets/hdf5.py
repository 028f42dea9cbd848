"""A data set as one HDF5 file: written of a training set, read as knees by split."""

import glob
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np

from knee_attention.datasets.knees import Dataset, Knees, in_threads, stratified_subset
from knee_attention.errors import InputError
from knee_attention.files import KEPT_OF_NAME, open_hdf5, remove_remains, written_whole
from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import read_image
from knee_attention.films.polarity import is_negative, negative
from knee_attention.films.radiograph import prepare_knee, to_uint8
from knee_attention.kl import GRADES

FORMAT = "knee_attention dataset 1"
"""The root attribute `format` of such a file."""


def write_hdf5(
    path: Path, rows: Sequence[dict], folder: Path, cutting: Cutting | None = None
) -> bool:
    """Write the knees of a training set into one file.

    Its datasets are `images` (n, height, width) uint8 in chunks of one knee, `grades` (n,) int8,
    and the UTF-8 strings `ids`, `sides` ("R", "L"), `subjects`, `splits`, each (n,); its attribute
    `cutting` says as JSON how the knees were cut, where that is known.

    Args:
        path: the file.
        rows: the rows of the set's manifest, with the height and width of each knee.
        folder: the training set's folder.
        cutting: how the knees were cut.

    Returns:
        False if the file is there already, made of the same knees.

    Raises:
        InputError: the knees are of several sizes, the file cannot be written, or something else
            lies in its place.
        ImageError: a knee cannot be read.
    """
    import h5py
    from tqdm import tqdm

    shapes = sorted({(row["height"], row["width"]) for row in rows})
    if len(shapes) > 1:
        sizes = ", ".join(f"{height}x{width}" for height, width in shapes[:4])
        raise InputError(f"{path}: expected knees of one size. Received: {sizes}")
    identity = [[row["file"], row["subject"], row["pixels"]] for row in rows]
    if cutting:
        identity.append(asdict(cutting))
    fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    try:
        remove_remains(path.parent.glob(f".*.{glob.escape(path.name[-KEPT_OF_NAME:])}"))
        if _fingerprint(path) == fingerprint:
            return False
        with (
            written_whole(path) as beside,
            _Surviving(beside, "w+") as raw,
            h5py.File(raw, "w") as file,
        ):
            file.attrs.update(format=FORMAT, fingerprint=fingerprint)
            if cutting:
                file.attrs["cutting"] = json.dumps(asdict(cutting))
            shape = (len(rows), *shapes[0])
            images = file.create_dataset("images", shape, np.uint8, chunks=(1, *shapes[0]))
            for index, row in enumerate(tqdm(rows, desc=path.name)):
                raw.tell_failure()
                image = read_image(folder / row["file"])
                images[index] = image if image.dtype == np.uint8 else to_uint8(image)
            file["grades"] = np.array([row["kl"] for row in rows], np.int8)
            for name in ("id", "side", "subject", "split"):
                values = [str(row[name]) for row in rows]
                file.create_dataset(f"{name}s", data=values, dtype=h5py.string_dtype("utf-8"))
            file.flush()
            raw.tell_failure()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    return True


class _Surviving(io.FileIO):
    """A file that remembers why it could not be written to, and goes on.

    HDF5 does not survive a write that fails, as on a full disk: it crashes when the process ends.
    """

    _failure: OSError | None = None

    def write(self, content) -> int:
        rest = memoryview(content).cast("B")
        while len(rest) and not self._failure:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self._failure = error
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._failure = self._failure or error
            return size

    def tell_failure(self) -> None:
        """Raise the OSError that writing has met, if any."""
        if self._failure:
            raise self._failure


def _fingerprint(path: Path) -> str | None:
    import h5py

    if not path.exists():
        return None
    if h5py.is_hdf5(path):
        with open_hdf5(path) as file:
            if file.attrs.get("format") == FORMAT:
                return file.attrs["fingerprint"]
    raise InputError(f"{path}: is there already and no training set; choose another name")


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


def read_hdf5(path: Path, size, limit, seed, wanted, polarity) -> Dataset:
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
