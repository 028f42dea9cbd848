"""How films become network input.

It is recorded in the data set, copied into the model file, and applied again when grading.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np

from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.displacement import Displacement, displaced
from knee_attention.films.radiograph import prepare_knee
from knee_attention.limits import CROPS, EQUALIZATIONS, FITS

CROPS_IN_WORDS = {"half": "halves of films", "square": "square crops of joints",
                  "antony": "Antony's crops of joints"}  # fmt: skip


@dataclass(frozen=True)
class Preparation:
    """How films became the knees of a data set, and how these become network input.

    The defaults are the paper's (section 4). They also apply to data sets and model files without a
    record.

    Attributes:
        cutting: how films became knees; None if unknown.
        fit: how a knee is resized to the network's input, `"stretch"` or `"pad"`.
        equalization: how its histogram is equalised then, `"hist"`, `"clahe"` or `"none"`.
        crop: what the knees show if there is no cutting: `"half"` of a film, or a crop of the
            joint, `"square"` or `"antony"`; None if unknown.
        displaced: whether square crops are shrunk and set at different places on drawn legs
            (see module `displacement`).

    Raises:
        InputError: an unknown `fit`, `equalization` or `crop`, a crop that contradicts the
            cutting, or displaced knees that are not known to be square crops.
    """

    cutting: Cutting | None = None
    fit: str = "stretch"
    equalization: str = "hist"
    crop: str | None = None
    displaced: bool = False

    def __post_init__(self):
        if self.crop not in (None, *CROPS):
            raise InputError(f"expected a crop of {', '.join(CROPS)}. Received: {self.crop!r}")
        if self.cutting and self.crop not in (None, self.cutting.crop):
            raise InputError(f"the knees cannot be {CROPS_IN_WORDS[self.crop]}: according to their "
                             f"record they are {CROPS_IN_WORDS[self.cutting.crop]}")
        if self.fit not in FITS or self.equalization not in EQUALIZATIONS:
            raise InputError(f"expected a fit of {', '.join(FITS)} and an equalization of "
                             f"{', '.join(EQUALIZATIONS)}. Received: {self.fit!r} and "
                             f"{self.equalization!r}")
        if self.displaced and self.known_crop != "square":
            raise InputError("--displace needs square crops of joints (--crop square); these "
                             f"knees are {CROPS_IN_WORDS[self.known_crop or 'half']}")

    @property
    def known_crop(self) -> str | None:
        """What the knees show: the cutting's crop, else `crop`; None if unknown."""
        return self.cutting.crop if self.cutting else self.crop

    @property
    def shows_joints(self) -> bool:
        """Whether the knees are crops of joints; if unknown, they count as halves of films."""
        return self.known_crop not in (None, "half")

    def with_crop(self, crop: str) -> "Preparation":
        """A copy with `crop` set; `"auto"` changes nothing.

        Raises:
            InputError: the crop contradicts the record.
        """
        if crop == "auto":
            return self
        changed = replace(self, crop=crop)  # refuses an unknown crop
        if self.crop not in (None, crop):
            raise InputError(f"the knees cannot be {CROPS_IN_WORDS[crop]}: according to their "
                             f"record they are {CROPS_IN_WORDS[self.crop]}")
        return changed

    @property
    def split(self) -> str:
        """The `method` of `legs.split_knees` for a film of both knees."""
        return self.cutting.split if self.cutting else "auto"

    def knee(
        self, knee: np.ndarray, size: tuple[int, int], file: str | os.PathLike = ""
    ) -> np.ndarray:
        """Prepare a knee of a data set as network input.

        Args:
            knee: `(height, width[, channels])`, any dtype, bone bright.
            size: height and width of the network's input in pixels.
            file: the knee's file. Its name decides the place of a displaced joint.

        Returns:
            `(size[0], size[1])` uint8.

        Raises:
            ValueError: not an image, too small for a knee, or not a square crop to be displaced.
        """
        if self.displaced:
            knee = displaced(knee, Displacement.of(file))
        return prepare_knee(knee, size, self.fit, self.equalization)

    def half(self, half: np.ndarray, side: str | None, size: tuple[int, int]) -> np.ndarray:
        """Prepare half of a film or a crop of a joint as network input.

        First the cutting is applied, if it is known, as it was to the knees of the data set. Then
        the result is prepared like a knee of the data set.

        Args:
            half: `(height, width[, channels])`, any dtype, bone bright; it shows `known_crop`.
            side: the patient's side, `"R"` or `"L"`; None if unknown.
            size: height and width of the network's input in pixels.

        Returns:
            `(size[0], size[1])` uint8.

        Raises:
            ValueError: not an image, too small for a knee, or left knees are mirrored and the side
                is unknown.
        """
        cut = self.cutting.knee(half, side) if self.cutting else half
        return self.knee(cut, size)

    def single(self, image: np.ndarray, side: str | None, size: tuple[int, int]) -> np.ndarray:
        """Prepare an image of one knee as network input.

        An image of exactly the size of the data set's knees counts as one of them, any other as
        half of a film. Arguments, result and errors are those of `half`.
        """
        return self.knee(image, size) if self.is_cut(image) else self.half(image, side, size)

    def is_cut(self, image: np.ndarray) -> bool:
        """Whether an image has exactly the size of the data set's knees."""
        return self.cutting is not None and image.shape[:2] == self.cutting.size

    def mirrors(self, side: str | None) -> bool:
        """Whether `half` mirrors the knees of a side."""
        return self.cutting is not None and self.cutting.flip_left and side == "L"

    def described(self) -> dict:
        """The entries `cutting` and `preparation` of a model's description; `recorded` reads them.
        """
        options = {"fit": self.fit, "equalization": self.equalization}
        if self.crop:
            options["crop"] = self.crop
        if self.displaced:
            options["displaced"] = True
        cutting = self.cutting.described() if self.cutting else None
        return {"cutting": cutting, "preparation": options}

    @classmethod
    def recorded(cls, description: Mapping, source: str | os.PathLike) -> "Preparation":
        """The preparation in a model's description.

        Args:
            description: what `described` returned, perhaps with other entries.
            source: the model's name in the error.

        Raises:
            InputError: the record has unknown keys or values.
        """
        options, cutting = description.get("preparation"), description.get("cutting")
        known = Cutting.recorded(cutting, source) if cutting else None
        if not options:
            return cls(known)
        try:
            required = {name: options[name] for name in ("fit", "equalization")}
            return cls(known, **{**required, **options})
        except (KeyError, TypeError, InputError):
            raise InputError(f"{source}: unknown options for preparing knees ({options!r}); update "
                             "knee_attention") from None

    def differences(self, other: "Preparation") -> list[str]:
        """The differences from another preparation, in words; empty if there are none.

        If a cutting is unknown, the crops are compared instead, where both are known. The size of
        the stored knees is ignored if both cuttings stretch, because the knees are stretched to
        the network's size later.
        """
        sets = [
            tuple(
                {"fit": one.fit, "equalization": one.equalization, "displaced": one.displaced}
                for one in (self, other)
            )
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
    """Refuse data sets and models whose preparations differ.

    Args:
        preparations: the name and the preparation of each data set or model.

    Raises:
        InputError: two of them differ; the message names both and the differences.
    """
    for (name, preparation), (other_name, other) in combinations(preparations, 2):
        differences = preparation.differences(other)
        if differences:
            raise InputError(f"{name}: its knees are prepared differently from those of "
                             f"{other_name} ({'; '.join(differences)})")
