"""The images that the localiser learns from and is measured on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from knee_attention.datasets.knees import in_threads
from knee_attention.datasets.layout import required_files
from knee_attention.errors import InputError
from knee_attention.films.borders import without_frame
from knee_attention.films.inputs import files_to_open, open_image
from knee_attention.films.joints import SQUARE_SIDE, Box, box_around, box_of_square, resized
from knee_attention.films.polarity import is_negative_knee, negative
from knee_attention.films.radiograph import cut_out, resize_knee, to_uint8
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.boxes import BoxedImage, person_of, read_joint_boxes

LONGEST_SIDE = 768
"""Films are kept at this size, three times that of the localiser's input."""

FEWEST_PERSONS = 10
"""Of whom one is for validation and two are for the test."""

PHANTOM_SPLITS = {"train": 0, "validation": 1, "test": 2}

KEPT_PART = 3
"""One of so many images without a knee is kept from the training, to measure what is refused."""

FINE = 0.6
"""Shrunk by more than this, a film is first shrunk by area to half its size: fine grain would
otherwise become a pattern that no film shows."""


@dataclass(frozen=True)
class KnownFilm:
    """A film whose joints are known.

    Attributes:
        image: `(height, width)` uint8, bone bright.
        boxes: its joint boxes, in pixels; empty if it shows no joint to be graded.
        name: what it is called.
        sides: the patient's side of each box, `"R"`, `"L"` or None.
        half_size: the image at half its size.
    """

    image: np.ndarray
    boxes: Sequence[Box]
    name: str
    sides: Sequence[str | None]
    half_size: np.ndarray

    @classmethod
    def of(
        cls, image: np.ndarray, name: str, boxes: Sequence[Box] = (),
        sides: Sequence[str | None] | None = None,
    ) -> "KnownFilm":
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return cls(image, boxes, name, sides or [None] * len(boxes), half)

    def at(self, scale: float) -> tuple[np.ndarray, float]:
        """The image, or the one of half its size, that is to be shown at a scale; and its own."""
        return (self.half_size, 0.5) if scale < FINE else (self.image, 1.0)


@dataclass(frozen=True)
class LearningFilms:
    """What a localiser learns from.

    Attributes:
        phantoms: drawn films of both knees; they are there always.
        real: films with known joint boxes.
        crops: square crops of joints.
        distractors: `(height, width)` uint8 images without a knee to be graded.
        implants: the same of knees with implants.
    """

    phantoms: list[KnownFilm]
    real: list[KnownFilm] = field(default_factory=list)
    crops: list[KnownFilm] = field(default_factory=list)
    distractors: list[np.ndarray] = field(default_factory=list)
    implants: list[np.ndarray] = field(default_factory=list)


def phantom_films(count: int, split: str, seed: int) -> list[KnownFilm]:
    """Draw phantom films of all pairs of grades.

    Args:
        count: how many.
        split: `"train"`, `"validation"` or `"test"`: each has films of its own.
        seed: decides everything about them.
    """
    generator = np.random.default_rng((seed, PHANTOM_SPLITS[split], 16))
    grades, seeds = generator.integers(0, 5, (count, 2)), generator.integers(2**31, size=count)
    films = [None] * count

    def draw(place: int) -> None:
        right, left = grades[place].tolist()
        phantom = phantom_film((right, left), int(seeds[place]))
        boxes = [box_around(region) for region in phantom.boxes.values()]
        films[place] = KnownFilm.of(phantom.image, f"phantom{place:04d}", boxes,
                                    list(phantom.boxes))

    in_threads(draw, count, f"drawing phantom films, {split}")
    return films


def real_films(
    data: Path, table: Path, seed: int, kind: str = "square"
) -> dict[str, list[KnownFilm]]:
    """Read films and their joint boxes.

    Args:
        data: the folder of the films.
        table: as `read_joint_boxes` takes it. If it has no column `split`, films are split by
            persons: 70% train, 10% validation, 20% test.
        seed: decides which person is in which split.
        kind: what the boxes of a table of ours are, `"square"` or `"joint"`.

    Returns:
        The films of each split, `{"train": films, "validation": films}` and, if there are any,
        `"test"`. Films with a box whose remark says `unsure` are left out of `"train"`.

    Raises:
        InputError: as `read_joint_boxes` does, a film that cannot be read, or too few persons.
    """
    rows = read_joint_boxes(table, data, kind)
    images = [None] * len(rows)

    def read(place: int) -> None:
        images[place] = _read_film(rows[place], data)

    in_threads(read, len(rows), f"reading films of {data.name}")
    split_of = {row.split for row in rows}
    if split_of == {None}:
        splits = _split_by_person([person_of(row.path.stem) for row in rows], table, seed)
    else:
        splits = [row.split for row in rows]
    films: dict[str, list[KnownFilm]] = {}
    for film, row, split in zip(images, rows, splits, strict=True):
        if not (split == "train" and row.unsure):
            films.setdefault(split, []).append(film)
    for split in ("train", "validation"):
        if not films.get(split):
            raise InputError(f"{table}: no films of the split {split}")
    return films


def _read_film(row: BoxedImage, data: Path) -> KnownFilm:
    image, _ = open_image(row.path)
    boxes = row.in_pixels(image.shape)
    square = tuple(map(round, resized(boxes[0], SQUARE_SIDE)))
    image = _bone_bright(image, cut_out(image, square))
    scale = min(1.0, LONGEST_SIDE / max(image.shape))
    small = resize_knee(to_uint8(image), tuple(round(side * scale) for side in image.shape))
    scaled = [tuple(value * scale for value in box) for box in boxes]
    return KnownFilm.of(small, str(row.path.relative_to(data)), scaled, row.sides)


def _bone_bright(image: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """An image with bone bright, as far as the crop of its joint tells. A localiser that is trained
    does not ask the one of the package, as `is_negative` does."""
    return negative(image) if is_negative_knee(crop) else image


def _split_by_person(persons: Sequence[str], table: Path, seed: int) -> list[str]:
    known = sorted(set(persons))
    if len(known) < FEWEST_PERSONS:
        raise InputError(f"{table}: films of {len(known)} persons, where training, validation and "
                         f"test take {FEWEST_PERSONS} at least")
    np.random.default_rng(seed).shuffle(known)
    validation, test = max(1, len(known) // 10), max(2, len(known) // 5)
    split_of = dict.fromkeys(known, "train")
    split_of |= dict.fromkeys(known[:test], "test")
    split_of |= dict.fromkeys(known[test : test + validation], "validation")
    return [split_of[person] for person in persons]


def square_crops(data: Path, split: str) -> list[KnownFilm]:
    """Read the square crops of a data folder, whose joint boxes reach a little beyond them.

    Raises:
        InputError: no such split, or an image that is no square.
    """
    files = required_files(data, split)
    crops = [None] * len(files)

    def read(place: int) -> None:
        crop, _ = without_frame(open_image(files[place].path)[0])
        image = to_uint8(_bone_bright(crop, crop))
        height, width = image.shape
        square = (0.0, (height - width) / 2, float(width), float(width))
        crops[place] = KnownFilm.of(image, files[place].name, [box_of_square(square)])

    in_threads(read, len(files), f"reading crops, {split}")
    return crops


def images_below(folder: Path, but: Path | None = None) -> dict[str, list[np.ndarray]]:
    """Read the images of a folder, one of `KEPT_PART` apart, by the hash of its name.

    Args:
        folder: images, at any depth.
        but: a folder whose images are left out.

    Returns:
        `{"train": images, "validation": images}`, each `(height, width)` uint8 and as it is stored.

    Raises:
        InputError: no such folder, or no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = [path for path in files_to_open([folder])
             if but is None or not path.resolve().is_relative_to(but.resolve())]
    images = [None] * len(files)

    def read(place: int) -> None:
        image, _ = open_image(files[place])
        scale = min(1.0, LONGEST_SIDE / max(image.shape))
        images[place] = resize_knee(to_uint8(image), tuple(round(s * scale) for s in image.shape))

    in_threads(read, len(files), f"reading {folder.name}")
    found = {"train": [], "validation": []}
    for path, image in zip(files, images, strict=True):
        found["validation" if is_kept(path) else "train"].append(image)
    return found


def is_kept(path: Path) -> bool:
    """Whether an image without a knee is kept from the training."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % KEPT_PART == 0


