"""The classes `Knees`, one split, and `Dataset`, all splits."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from knee_attention.errors import ImageError
from knee_attention.films.preparation import Preparation
from knee_attention.kl import GRADES


@dataclass(frozen=True)
class Knees:
    """The knees of one split.

    Attributes:
        images: `(n, height, width)` uint8, prepared: an array, or an object that is indexed by an
            array of positions and reads from disk.
        grades: `(n,)` int64 Kellgren-Lawrence grades.
        files: the name of each knee's file, relative to the data set.
        subjects: the person of each knee.
        masks: a `(height, width)` bool joint mask per knee, if known: that of a phantom or of a
            displaced joint has the images' size, an expert's the size of its file.
        turned: those of `files` that are photographic negatives; `images` holds them inverted.
        trimmed: those of `files` that had a border of one grey; it is cut off in `images`.
    """

    images: np.ndarray
    grades: np.ndarray
    files: list[str]
    subjects: list[str]
    masks: Sequence[np.ndarray] | None = None
    turned: list[str] = field(default_factory=list)
    trimmed: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.grades)

    def take(self, positions: np.ndarray) -> "Knees":
        """The knees at these positions, in the same order."""
        files = [self.files[position] for position in positions]
        return Knees(
            images=self.images[positions],
            grades=self.grades[positions],
            files=files,
            subjects=[self.subjects[position] for position in positions],
            masks=None if self.masks is None else [self.masks[p] for p in positions],
            turned=[file for file in files if file in set(self.turned)],
            trimmed=[file for file in files if file in set(self.trimmed)],
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
    def turned(self) -> list[str]:
        """The photographic negatives of all splits."""
        return [file for knees in self.splits.values() for file in knees.turned]

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


def in_threads(work: Callable[[int], None], count: int, title: str) -> None:
    """Call `work(0)` to `work(count - 1)` in threads, with a progress bar."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in tqdm(pool.map(work, range(count)), total=count, desc=title, disable=None):
            pass
