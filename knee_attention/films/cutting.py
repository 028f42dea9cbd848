"""The options by which films were cut into knees, and the file that records them."""

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
"""The file with the `Cutting` of a folder of knees, or of a training set made from one."""


@dataclass(frozen=True)
class Cutting:
    """The options of `split_knees.py` that decide how films become knees.

    Attributes:
        split: `"auto"` or `"middle"`, as `legs.split_knees` takes it.
        size: height and width of a knee in pixels.
        fit: `"stretch"` or `"pad"`.
        equalize: `"hist"`, `"clahe"` or `"none"`.
        flip_left: mirror left knees, so that they look like right ones.
        crop: `"half"` of a film, or a crop of the joint: `"square"` or `"antony"`, as
            `joint_crops.crop_of` defines them.

    Raises:
        InputError: a field has an unknown value, or a size is out of range.
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
            raise InputError("expected known options and a size of "
                             f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side. Received: {self}")

    def knee(self, half: np.ndarray, side: str | None) -> np.ndarray:
        """Prepare one knee as `split_knees.py` writes it.

        Args:
            half: half of a film or the crop of a joint, `(height, width[, channels])`, any dtype.
            side: the patient's side, `"R"` or `"L"`; None if unknown.

        Returns:
            `(height, width)` uint8 of `size`.

        Raises:
            ValueError: not an image, or left knees are mirrored and the side is unknown.
        """
        if self.flip_left and side is None:
            raise ValueError("left knees are mirrored, but the side of this knee is unknown; end "
                             "the file's name in _R or _L")
        knee = prepare_knee(half, self.size, self.fit, self.equalize)
        return knee[:, ::-1] if self.flip_left and side == "L" else knee

    def described(self) -> dict:
        """The fields as a dict for JSON, which `recorded` reads.

        `crop` is left out for halves, so that records without this key stay equal to new ones.
        """
        record = asdict(self)
        if self.crop == "half":
            del record["crop"]
        return record

    @classmethod
    def read(cls, folder: Path) -> "Cutting | None":
        """The cutting that a folder of knees records; None if it has no record.

        Raises:
            InputError: the record is damaged or from a later version.
        """
        path = folder / CUTTING
        return cls.recorded(read_json(path), path) if path.exists() else None

    @classmethod
    def recorded(cls, record: dict, source: str | os.PathLike) -> "Cutting":
        """The cutting in a record that `described` made.

        Args:
            record: the dict.
            source: the file that holds it, named in the error.

        Raises:
            InputError: the record has unknown keys or values.
        """
        try:
            return cls(**{**record, "size": tuple(record["size"])})
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{source}: unknown options for cutting knees ({record}); update "
                             "knee_attention or make the knees again") from None


def write_cutting(folder: Path, cutting: Cutting | None) -> None:
    """Write the cutting into a folder of knees; remove an old record if it is None."""
    if cutting:
        write_json(folder / CUTTING, cutting.described())
    else:
        (folder / CUTTING).unlink(missing_ok=True)
