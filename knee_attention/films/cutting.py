"""How films become knees, and the file that says so beside them."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import read_json, write_json
from knee_attention.films.radiograph import prepare_knee
from knee_attention.limits import (
    CROPS,
    EQUALIZATIONS,
    FITS,
    KNEE_SIZE,
    LARGEST_SIDE,
    SMALLEST_SIDE,
    SPLIT_METHODS,
)

CUTTING = "cutting.json"
"""What `Cutting` holds, in a folder of knees and in a training set made of it."""


@dataclass(frozen=True)
class Cutting:
    """How films become knees, as `split_knees.py` was told.

    Attributes:
        split: `"auto"` or `"middle"`, as `legs.split_knees` takes it.
        size: height and width of a knee in pixels.
        fit: `"stretch"` or `"pad"`.
        equalize: `"hist"`, `"clahe"` or `"none"`.
        flip_left: mirror left knees, so that they look like right ones.
        crop: `"half"` of a film, or a crop of the joint: `"square"` or `"antony"`, as
            `joint_crops.crop_of` has them.
    """

    split: str = "auto"
    size: tuple[int, int] = KNEE_SIZE
    fit: str = "stretch"
    equalize: str = "hist"
    flip_left: bool = False
    crop: str = "half"

    def __post_init__(self):
        known = (
            self.split in SPLIT_METHODS
            and self.fit in FITS
            and self.equalize in EQUALIZATIONS
            and type(self.flip_left) is bool
            and self.crop in CROPS
        )
        sides_fit = len(self.size) == 2 and all(
            type(side) is int and SMALLEST_SIDE <= side <= LARGEST_SIDE for side in self.size
        )
        if not known or not sides_fit:
            raise InputError(f"expected a cutting with sides of {SMALLEST_SIDE} to {LARGEST_SIDE} "
                             f"pixels. Received: {self}")

    def knee(self, half: np.ndarray, side: str | None) -> np.ndarray:
        """A half of a film, or a crop of a joint, as `split_knees.py` writes it, `(height, width)`
        uint8.

        Raises:
            ValueError: no image, or its side is not known and left knees are mirrored.
        """
        if self.flip_left and side is None:
            raise ValueError("left knees are mirrored, and the side of this one is not known; end "
                             "the file's name in _R or _L")
        knee = prepare_knee(half, self.size, self.fit, self.equalize)
        return knee[:, ::-1] if self.flip_left and side == "L" else knee

    def described(self) -> dict:
        """What `recorded` reads again. Of halves it says what it said before there were crops, so
        that what was made then counts as made in this way.
        """
        record = asdict(self)
        if self.crop == "half":
            del record["crop"]
        return record

    @classmethod
    def read(cls, folder: Path) -> "Cutting | None":
        """What a folder of knees says of their cutting; None where it says nothing.

        Raises:
            InputError: the record is damaged or of a later version.
        """
        path = folder / CUTTING
        return cls.recorded(read_json(path), path) if path.exists() else None

    @classmethod
    def recorded(cls, record: dict, source: str | os.PathLike) -> "Cutting":
        """The cutting that one once `described`, in a file called `source`.

        Raises:
            InputError: it describes another kind of cutting.
        """
        try:
            return cls(**{**record, "size": tuple(record["size"])})
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{source}: its knees were cut in a way that is not known here "
                             f"({record})") from None


def write_cutting(folder: Path, cutting: Cutting | None) -> None:
    """Leave in a folder of knees how they were cut, or nothing where that is not known."""
    if cutting:
        write_json(folder / CUTTING, cutting.described())
    else:
        (folder / CUTTING).unlink(missing_ok=True)
