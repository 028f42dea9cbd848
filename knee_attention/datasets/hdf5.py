"""Reading the table of a data set in an HDF5 file, and its images one by one.

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

from knee_attention.datasets.layout import SPLITS
from knee_attention.errors import ImageError, InputError
from knee_attention.files import open_hdf5
from knee_attention.films.cutting import Cutting
from knee_attention.films.legs import knee_name
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


def stored_knee(images: h5py.Dataset, row: int) -> np.ndarray:
    """Read one knee from a file's dataset `images`, `(height, width)` uint8.

    Raises:
        ImageError: this part of the file is damaged.
    """
    try:
        return images[row]
    except OSError:
        reason = f"a damaged file; its image {row} cannot be read"
        raise ImageError(images.file.filename, reason) from None
