"""Reading a data set from an HDF5 file; images are read on demand.

Its datasets are `images` (n, height, width) uint8, `grades` (n,) int8, and the UTF-8 strings `ids`,
`sides` ("R", "L"), `subjects` and `splits`, each (n,). The attribute `format` is `FORMAT`. The
optional attribute `cutting` holds the fields of the `Cutting` as JSON. `make_dataset.py` replaces
only files with the attribute `fingerprint`, which it writes: a hash of the knees and their options.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from knee_attention.datasets.knees import in_threads
from knee_attention.datasets.layout import SPLITS
from knee_attention.errors import InputError
from knee_attention.files import open_hdf5
from knee_attention.films.borders import find_frame, without_frame
from knee_attention.films.cutting import Cutting
from knee_attention.films.legs import knee_name
from knee_attention.films.polarity import is_negative_knee, negative
from knee_attention.films.preparation import Preparation
from knee_attention.limits import GRADES

FORMAT = "knee_attention dataset 1"
"""The value of the root attribute `format`."""

TEXTS = ("ids", "sides", "subjects", "splits")
"""The datasets of strings."""


@dataclass(frozen=True)
class Contents:
    """The table of the n knees in an HDF5 file, without their images.

    Attributes:
        grades: `(n,)` int64 Kellgren-Lawrence grades.
        names: `<id>_<side>` of each knee.
        subjects: `(n,)` the person of each knee.
        splits: `(n,)` `"train"`, `"validation"` or `"test"`.
        cutting: how the knees were cut; None if unknown.
    """

    grades: np.ndarray
    names: list[str]
    subjects: np.ndarray
    splits: np.ndarray
    cutting: Cutting | None


def read_contents(path: Path) -> Contents:
    """Read the table of the knees in an HDF5 file, without their images.

    Raises:
        InputError: the file is missing, damaged or of another format; or its columns are missing,
            differ in length, or hold unknown grades or splits.
    """
    try:
        with open_hdf5(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(f"{path}: not a data set of knees; its attribute format is not "
                                 f"{FORMAT!r}")
            missing = [name for name in ("images", "grades", *TEXTS) if name not in file]
            if missing:
                raise InputError(f"{path}: not a data set of knees; it lacks {', '.join(missing)}")
            grades = file["grades"][:].astype(np.int64)
            texts = {name: file[name].asstr()[:] for name in TEXTS}
            lengths = {len(file["images"]), len(grades), *map(len, texts.values())}
            cutting = json.loads(file.attrs.get("cutting", "null"))
    except InputError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError):
        raise InputError(f"{path}: not an HDF5 file, or a damaged one") from None
    if len(lengths) > 1:
        raise InputError(f"{path}: a damaged data set; its columns differ in length")
    if not np.isin(grades, GRADES).all():
        raise InputError(f"{path}: it holds grades other than 0 to 4")
    if not np.isin(texts["splits"], SPLITS).all():
        raise InputError(f"{path}: it holds splits other than {', '.join(SPLITS)}")
    return Contents(
        grades=grades,
        names=[knee_name(*knee) for knee in zip(texts["ids"], texts["sides"], strict=True)],
        subjects=texts["subjects"],
        splits=texts["splits"],
        cutting=Cutting.recorded(cutting, path) if cutting else None,
    )


class StoredImages:
    """The images of one split in an HDF5 file, read and prepared on demand.

    It is indexed like an array `(n, height, width)` uint8.

    Args:
        path: a file that `read_contents` accepts.
        rows: `(n,)` the rows of the split's knees in the file.
        names: `<id>_<side>` of each knee.
        size: height and width of the prepared knees in pixels.
        preparation: how a knee is prepared.
        polarity: `"auto"` inverts photographic negatives, `"as-is"` keeps every image as it is.

    Raises:
        InputError: the first knee cannot be prepared; indexing raises it for any other knee.

    Attributes:
        negative: for each row of the file, whether it belongs to the split and is inverted.
        framed: for each row of the file, whether it belongs to the split and has a border of one
            grey, which is cut off.
    """

    def __init__(
        self,
        path: Path,
        rows: np.ndarray,
        names: list[str],
        size: tuple[int, int],
        preparation: Preparation,
        polarity: str,
    ):
        self.stored = h5py.File(path, "r")["images"]
        self.rows = rows
        self.names = dict(zip(rows.tolist(), names, strict=True))
        self.size = tuple(size)
        self.preparation = preparation
        self.negative, self.framed = np.zeros((2, len(self.stored)), bool)

        def look(place: int) -> None:
            row = self.rows[place]
            knee = stored_knee(self.stored, row)
            self.framed[row] = bool(find_frame(knee))
            self.negative[row] = polarity == "auto" and is_negative_knee(knee)

        in_threads(look, len(self.rows), "looking for negatives and frames")
        self._prepared(self.rows[0])  # unsuitable knees are refused before training begins

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
        knee, _ = without_frame(stored_knee(self.stored, row))
        knee = negative(knee) if self.negative[row] else knee
        try:
            return self.preparation.knee(knee, self.size, self.names[row])
        except ValueError as error:
            file, name = self.stored.file.filename, self.names[row]
            raise InputError(f"{file}: {name} cannot be prepared: {error}") from None


def stored_knee(images: h5py.Dataset, row: int) -> np.ndarray:
    """Read one knee from a file's dataset `images`, `(height, width)` uint8.

    Raises:
        InputError: this part of the file is damaged.
    """
    try:
        return images[row]
    except OSError:
        raise InputError(f"{images.file.filename}: a damaged file; its image {row} cannot be "
                         "read") from None
