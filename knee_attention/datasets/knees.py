"""The classes `Knees`, one split, and `Dataset`, all splits; and joint masks drawn by experts."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from knee_attention.errors import ImageError, InputError
from knee_attention.films.file_kinds import why_unread
from knee_attention.films.image_files import is_image_file, read_image
from knee_attention.films.legs import id_and_side
from knee_attention.films.preparation import Preparation
from knee_attention.limits import GRADES

T = TypeVar("T")


@dataclass(frozen=True)
class Knees:
    """The knees of one split.

    Attributes:
        images: `(n, height, width)` uint8, prepared.
        grades: `(n,)` int64 Kellgren-Lawrence grades.
        files: the name of each knee's file, relative to the data set.
        subjects: the person of each knee.
        masks: a `(height, width)` bool joint mask per knee, if known. Masks of phantoms and
            displaced joints have the images' size; masks drawn by experts have their file's size.
        inverted: those of `files` that are photographic negatives; `images` holds them inverted.
        trimmed: those of `files` that had a border of one grey; it is cut off in `images`.
    """

    images: np.ndarray
    grades: np.ndarray
    files: list[str]
    subjects: list[str]
    masks: Sequence[np.ndarray] | None = None
    inverted: list[str] = field(default_factory=list)
    trimmed: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.grades)

    def take(self, positions: np.ndarray) -> "Knees":
        """The knees at these positions, in the same order."""
        files = [self.files[position] for position in positions]
        inverted, trimmed = set(self.inverted), set(self.trimmed)
        return Knees(
            images=self.images[positions],
            grades=self.grades[positions],
            files=files,
            subjects=[self.subjects[position] for position in positions],
            masks=None if self.masks is None else [self.masks[p] for p in positions],
            inverted=[file for file in files if file in inverted],
            trimmed=[file for file in files if file in trimmed],
        )

    def grade_counts(self) -> list[int]:
        """The number of knees of each grade."""
        return np.bincount(self.grades, minlength=len(GRADES)).tolist()


@dataclass(frozen=True)
class Dataset:
    """Knees by split, and the files that could not be read.

    Attributes:
        splits: `{"train": Knees, "validation": Knees, "test": Knees}`; test may be absent.
        synthetic: whether the knees are phantoms.
        unreadable: one `ImageError` for each file that was skipped.
        preparation: how films became these knees.
        manifest_remark: a message about images without a row in the manifest; blank if there are
            none.
    """

    splits: dict[str, Knees]
    synthetic: bool = False
    unreadable: list[ImageError] = field(default_factory=list)
    preparation: Preparation = Preparation()
    manifest_remark: str = ""

    @property
    def inverted(self) -> list[str]:
        """The photographic negatives of all splits."""
        return [file for knees in self.splits.values() for file in knees.inverted]

    @property
    def trimmed(self) -> list[str]:
        """The images of all splits that had a border of one grey."""
        return [file for knees in self.splits.values() for file in knees.trimmed]


def stratified_subset(grades: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Ascending positions of at most `limit` knees, in the same proportions of grades."""
    if limit is None or limit >= len(grades):
        return np.arange(len(grades))
    shuffled = np.random.default_rng(seed).permutation(len(grades))
    by_grade = shuffled[np.argsort(grades[shuffled], kind="stable")]
    steps = (np.arange(limit) + 0.5) * len(grades) / limit
    return np.sort(by_grade[steps.astype(int)])


def in_threads(work: Callable[[int], T], count: int, title: str) -> list[T]:
    """The results of `work(0)` to `work(count - 1)`, called in threads with a progress bar."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(tqdm(pool.map(work, range(count)), total=count, desc=title, disable=None))


JOINT_ABOVE = 127
"""Pixels of a mask file with a higher grey value belong to the joint."""


@dataclass(frozen=True)
class JointMasks:
    """The masks of a data set's knees.

    Attributes:
        positions: `(n,)` positions of the knees with a mask, ascending.
        joints: the mask of each, a `(height, width)` bool array of the mask file's size.
        left_out: one `ImageError` for each mask that cannot be used.
    """

    positions: np.ndarray
    joints: list[np.ndarray]
    left_out: list[ImageError]


def joint_masks(
    folder: Path, files: Sequence[str], image_shape: Callable[[int], tuple[int, int]]
) -> JointMasks:
    """Read the masks in a folder that have the name of a knee.

    Args:
        folder: a folder of images with the knees' names, such as `<id>R` or `<id>_L`, and any image
            suffix.
        files: the name of each knee's file.
        image_shape: returns the height and width of a knee's stored image for its position. The
            mask must have the same.

    Raises:
        InputError: the folder is missing, or none of its masks can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of masks")
    places = {id_and_side(file): place for place, file in enumerate(files)}
    found, left_out, unmatched = {}, [], []
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    paths = [path for path in files if is_image_file(path)]
    reasons = {path: why_unread(path) for path in files if not is_image_file(path)}
    left_out += [ImageError(path, reason) for path, reason in reasons.items() if reason]
    for path in paths:
        try:
            place = places[id_and_side(path)]
            found[place] = _joint(path, image_shape(place))
        except KeyError:
            unmatched.append(path)
        except ImageError as error:
            left_out.append(error)
    if unmatched:
        more = f" or of {len(unmatched) - 1} more" if unmatched[1:] else ""
        reason = f"no measured knee has the name of this mask{more}"
        left_out.append(ImageError(unmatched[0], reason))
    if not found:
        reason = f" (the first error: {left_out[0]})" if left_out else ""
        raise InputError(f"{folder}: none of its {len(paths)} masks can be used{reason}")
    positions = sorted(found)
    return JointMasks(np.array(positions), [found[place] for place in positions], left_out)


def _joint(path: Path, shape: tuple[int, int]) -> np.ndarray:
    mask = read_image(path)
    if mask.shape != tuple(shape):
        raise ImageError(path, f"the mask has {mask.shape[1]}x{mask.shape[0]} pixels, its knee "
                         f"{shape[1]}x{shape[0]}")
    joint = mask > JOINT_ABOVE
    if not joint.any() or joint.all():
        raise ImageError(path, "the mask marks no pixel or every pixel as joint")
    return joint
