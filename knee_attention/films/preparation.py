"""How a film becomes what a network takes: it goes with the knees to the model, and with the model
to the films that it grades.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np

from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.radiograph import prepare_knee
from knee_attention.limits import CROPS, EQUALIZATIONS, FITS

CROPS_IN_WORDS = {"half": "halves of films", "square": "square crops of joints",
                  "antony": "Antony's crops of joints"}  # fmt: skip


@dataclass(frozen=True)
class Preparation:
    """How films became the knees of a data set, and how these become a network's input.

    The defaults are the paper's (section 4), and what every data set and model has been prepared
    with whose file says nothing else.

    Attributes:
        cutting: how films became knees, None where that is not known.
        fit: how a knee is brought to the network's size, `"stretch"` or `"pad"`.
        equalization: what is done to a knee of that size, `"hist"`, `"clahe"` or `"none"`.
        crop: what the knees show where no cutting tells, `"half"` of a film or a crop of the joint,
            `"square"` or `"antony"`; None where nobody has said.

    Raises:
        InputError: an unknown `fit`, `equalization` or `crop`, or a crop that is not the cutting's.
    """

    cutting: Cutting | None = None
    fit: str = "stretch"
    equalization: str = "hist"
    crop: str | None = None

    def __post_init__(self):
        if self.crop not in (None, *CROPS):
            raise InputError(f"expected a crop of {', '.join(CROPS)}. Received: {self.crop!r}")
        if self.cutting and self.crop not in (None, self.cutting.crop):
            raise InputError(f"knees that are said to be {CROPS_IN_WORDS[self.crop]} were cut as "
                             f"{CROPS_IN_WORDS[self.cutting.crop]}, their record says")
        if self.fit not in FITS or self.equalization not in EQUALIZATIONS:
            raise InputError(f"expected a fit of {', '.join(FITS)} and an equalization of "
                             f"{', '.join(EQUALIZATIONS)}. Received: {self.fit!r} and "
                             f"{self.equalization!r}")

    @property
    def known_crop(self) -> str | None:
        """What the knees show as far as that is known: the cutting's word, else `crop`."""
        return self.cutting.crop if self.cutting else self.crop

    @property
    def shows_joints(self) -> bool:
        """Whether the knees are crops of joints; where nobody has said they are halves of films."""
        return self.known_crop not in (None, "half")

    def with_crop(self, crop: str) -> "Preparation":
        """The same where somebody says what the knees show: a crop, or `"auto"`, nothing new.

        Raises:
            InputError: their record says otherwise.
        """
        if crop == "auto":
            return self
        if self.crop not in (None, crop):
            raise InputError(f"knees that are said to be {CROPS_IN_WORDS[crop]} are "
                             f"{CROPS_IN_WORDS[self.crop]}, their record says")
        return replace(self, crop=crop)

    @property
    def split(self) -> str:
        """Where a film of both knees is cut, as `legs.split_knees` takes it."""
        return self.cutting.split if self.cutting else "auto"

    def knee(self, knee: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A knee of a data set as the network takes it.

        Args:
            knee: `(height, width[, channels])`, any dtype, bone bright.
            size: height and width of the network's input in pixels.

        Returns:
            `(size[0], size[1])` uint8.

        Raises:
            ValueError: no image, or one too small for a knee.
        """
        return prepare_knee(knee, size, self.fit, self.equalization)

    def half(self, half: np.ndarray, side: str | None, size: tuple[int, int]) -> np.ndarray:
        """Half of a film, or a crop of a joint, as the network takes it: cut like the knees of the
        data set, if it is known how, and then prepared like these.

        Args:
            half: `(height, width[, channels])`, any dtype, bone bright; what `known_crop` says.
            side: the patient's, `"R"` or `"L"`; None where it is not known.
            size: height and width of the network's input in pixels.

        Returns:
            `(size[0], size[1])` uint8.

        Raises:
            ValueError: no image, one too small for a knee, or one of unknown side where left knees
                are mirrored.
        """
        cut = self.cutting.knee(half, side) if self.cutting else half
        return self.knee(cut, size)

    def single(self, image: np.ndarray, side: str | None, size: tuple[int, int]) -> np.ndarray:
        """An image of one knee as the network takes it: one that has the very size of the data
        set's knees is taken for one of them, any other for half of a film; arguments, result and
        errors are those of `half`.
        """
        return self.knee(image, size) if self.is_cut(image) else self.half(image, side, size)

    def is_cut(self, image: np.ndarray) -> bool:
        """Whether an image has the very size of the data set's knees."""
        return self.cutting is not None and image.shape[:2] == self.cutting.size

    def mirrors(self, side: str | None) -> bool:
        """Whether `half` mirrors the knees of a side."""
        return self.cutting is not None and self.cutting.flip_left and side == "L"

    def described(self) -> dict:
        """The two entries of a model's description that `recorded` reads again."""
        said = {"fit": self.fit, "equalization": self.equalization}
        if self.crop:
            said["crop"] = self.crop
        return {"cutting": self.cutting.described() if self.cutting else None, "preparation": said}

    @classmethod
    def recorded(cls, description: Mapping, source: str | os.PathLike) -> "Preparation":
        """The preparation that the description of a model called `source` holds.

        Raises:
            InputError: it describes another kind of preparation.
        """
        said, cutting = description.get("preparation"), description.get("cutting")
        known = Cutting.recorded(cutting, source) if cutting else None
        if not said:
            return cls(known)
        try:
            return cls(known, **{"fit": said["fit"], "equalization": said["equalization"], **said})
        except (KeyError, TypeError, InputError):
            raise InputError(f"{source}: its knees were prepared in a way that is not known here "
                             f"({said!r})") from None

    def differences(self, other: "Preparation") -> list[str]:
        """What another preparation does in another way, in words; empty where it does nothing.

        Where one of the cuttings is not known, the cuttings do not count but for what they cut out,
        if that is known of both. Neither does the size of the stored knees where both are
        stretched, as the network's own size is what they end at.
        """
        sets = [
            tuple({"fit": one.fit, "equalization": one.equalization} for one in (self, other))
        ]
        if self.cutting and other.cutting:
            own, its = asdict(self.cutting), asdict(other.cutting)
            if own["fit"] == its["fit"] == "stretch":
                its["size"] = own["size"]
            sets.insert(0, (own, its))
        elif self.known_crop and other.known_crop:
            sets.insert(0, ({"crop": self.known_crop}, {"crop": other.known_crop}))
        return [
            f"{name} {value}, not {its[name]}"
            for own, its in sets
            for name, value in own.items()
            if value != its[name]
        ]


def refuse_differences(preparations: Sequence[tuple[str | os.PathLike, Preparation]]) -> None:
    """Refuse to bring together what was prepared in different ways.

    Args:
        preparations: what each data set or model is called, and its preparation.

    Raises:
        InputError: two of them disagree in what both know; it names them and what it is.
    """
    for (name, preparation), (other_name, other) in combinations(preparations, 2):
        differences = preparation.differences(other)
        if differences:
            raise InputError(f"{name}: its knees were prepared in another way than those of "
                             f"{other_name} ({'; '.join(differences)})")
