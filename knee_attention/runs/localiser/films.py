"""The images for training and evaluating the localiser."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from knee_attention.datasets.knees import in_threads
from knee_attention.datasets.layout import SPLITS, required_files
from knee_attention.errors import InputError
from knee_attention.films.borders import without_frame
from knee_attention.films.inputs import files_to_open, open_film
from knee_attention.films.joints import SQUARE_SIDE, Box, box_around, box_of_square, resized
from knee_attention.films.polarity import is_negative_knee, negative, refused
from knee_attention.films.radiograph import cut_out, resize_knee, to_uint8
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.boxes import BoxedImage, person_of, read_joint_boxes

LONGEST_SIDE = 768
"""Films are stored at this size, three times the side of the localiser's input."""

FEWEST_PERSONS = 10
"""Smallest number of persons that can be split; one is for validation, two are for the test."""

HELD_OUT_PART = 3
"""One of this many images without a knee is held out, to measure how many are refused."""

FINE = 0.6
"""Below this scale, a film of half the size is used, which was resized by area. Bilinear resizing
of the whole film would cause aliasing of fine grain."""


@dataclass(frozen=True)
class KnownFilm:
    """A film whose joints are known.

    Attributes:
        image: `(height, width)` uint8, bone bright.
        name: name of the film.
        boxes: joint boxes in pixels; empty if no joint should be found.
        sides: the patient's side of each box, `"R"`, `"L"` or None; only measured films need
            them.
    """

    image: np.ndarray
    name: str
    boxes: Sequence[Box] = ()
    sides: Sequence[str | None] = ()

    @cached_property
    def half_size(self) -> np.ndarray:
        """The image at half its size."""
        return cv2.resize(self.image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)

    def at(self, scale: float) -> tuple[np.ndarray, float]:
        """The image to resize to a scale, and its own scale: the film (1.0) or the half (0.5)."""
        return (self.half_size, 0.5) if scale < FINE else (self.image, 1.0)


@dataclass(frozen=True)
class LocaliserImages:
    """The images of one split.

    Attributes:
        phantoms: synthetic films of both knees, at least one.
        real: real films with known joint boxes.
        crops: square crops of joints.
        distractors: `(height, width)` uint8 images without a knee.
        implants: `(height, width)` uint8 images of knees with implants.
    """

    phantoms: list[KnownFilm]
    real: list[KnownFilm] = field(default_factory=list)
    crops: list[KnownFilm] = field(default_factory=list)
    distractors: list[np.ndarray] = field(default_factory=list)
    implants: list[np.ndarray] = field(default_factory=list)


def phantom_films(count: int, split: str, seed: int) -> list[KnownFilm]:
    """Draw phantom films with random pairs of grades.

    Args:
        count: number of films.
        split: `"train"`, `"validation"` or `"test"`; each split has different films.
        seed: seed of the films.
    """
    generator = np.random.default_rng((seed, SPLITS.index(split), 16))
    grades, seeds = generator.integers(0, 5, (count, 2)), generator.integers(2**31, size=count)

    def draw(place: int) -> KnownFilm:
        right, left = grades[place].tolist()
        phantom = phantom_film((right, left), int(seeds[place]))
        boxes = [box_around(region) for region in phantom.boxes.values()]
        return KnownFilm(phantom.image, f"phantom{place:04d}", boxes, list(phantom.boxes))

    return in_threads(draw, count, f"drawing phantom films, {split}")


def real_films(
    data: Path, table: Path, seed: int, kind: str = "square"
) -> dict[str, list[KnownFilm]]:
    """Read films and their joint boxes.

    Args:
        data: folder of the films.
        table: table of the boxes; see `read_joint_boxes`. Without splits in the table, films are
            split by person: 70% train, 10% validation, 20% test.
        seed: seed of the split.
        kind: kind of the boxes in the project's own layout, `"square"` or `"joint"`.

    Returns:
        `{split: films}` for `"train"`, `"validation"` and, if there are any, `"test"`. Films with
        an unsure box are not used in `"train"`.

    Raises:
        InputError: an error of `read_joint_boxes`, an unreadable film, or too few persons.
    """
    rows = read_joint_boxes(table, data, kind)
    images = in_threads(
        lambda place: _read_film(rows[place], data), len(rows), f"reading films of {data.name}"
    )
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
            raise InputError(f"{table}: no films in the split {split}")
    return films


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn a ValueError in the block into an ImageError that names the file."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise refused(path, error, False) from None


def _read_film(row: BoxedImage, data: Path) -> KnownFilm:
    image = open_film(row.path).pixels
    boxes = row.in_pixels(image.shape)
    square = tuple(map(round, resized(boxes[0], SQUARE_SIDE)))
    with _naming(row.path):
        small, scale = _at_stored_size(_bone_bright(image, cut_out(image, square)))
    scaled = [tuple(value * scale for value in box) for box in boxes]
    return KnownFilm(small, str(row.path.relative_to(data)), scaled, row.sides)


def _at_stored_size(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The image as uint8 with sides up to `LONGEST_SIDE`, and its scale."""
    scale = min(1.0, LONGEST_SIDE / max(image.shape))
    return resize_knee(to_uint8(image), tuple(round(side * scale) for side in image.shape)), scale


def _bone_bright(image: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """The image with bright bone: inverted if the crop of its joint is a negative.

    `is_negative` would use the localiser of the package, which the training must not depend on.
    """
    return negative(image) if is_negative_knee(crop) else image


def _split_by_person(persons: Sequence[str], table: Path, seed: int) -> list[str]:
    known = sorted(set(persons))
    if len(known) < FEWEST_PERSONS:
        raise InputError(f"{table}: films of only {len(known)} persons; training, validation and "
                         f"test need at least {FEWEST_PERSONS}")
    np.random.default_rng(seed).shuffle(known)
    validation, test = max(1, len(known) // 10), max(2, len(known) // 5)
    split_of = dict.fromkeys(known, "train")
    split_of |= dict.fromkeys(known[:test], "test")
    split_of |= dict.fromkeys(known[test : test + validation], "validation")
    return [split_of[person] for person in persons]


def square_crops(data: Path, split: str) -> list[KnownFilm]:
    """Read the square crops of a data folder. Their joint boxes are slightly larger than the crops.

    Raises:
        InputError: no such split, or an unreadable image.
    """
    files = required_files(data, split)

    def read(place: int) -> KnownFilm:
        with _naming(files[place].path):
            crop, _ = without_frame(open_film(files[place].path).pixels)
            image = to_uint8(_bone_bright(crop, crop))
        height, width = image.shape
        square = (0.0, (height - width) / 2, float(width), float(width))
        return KnownFilm(image, files[place].name, [box_of_square(square)])

    return in_threads(read, len(files), f"reading crops, {split}")


def images_below(folder: Path, excluded: Path | None = None) -> dict[str, list[np.ndarray]]:
    """Read the images of a folder and split them by the hash of their name.

    Args:
        folder: images, at any depth.
        excluded: a folder whose images are skipped.

    Returns:
        `{"train": images, "validation": images}`; images are `(height, width)` uint8 and are not
        inverted. One in `HELD_OUT_PART` is a validation image.

    Raises:
        InputError: no such folder, or no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = [path for path in files_to_open([folder])
             if excluded is None or not path.resolve().is_relative_to(excluded.resolve())]

    def read(place: int) -> np.ndarray:
        with _naming(files[place]):
            return _at_stored_size(open_film(files[place]).pixels)[0]

    images = in_threads(read, len(files), f"reading {folder.name}")
    found = {"train": [], "validation": []}
    for path, image in zip(files, images, strict=True):
        found["validation" if is_held_out(path) else "train"].append(image)
    return found


def is_held_out(path: Path) -> bool:
    """Whether an image without a knee is held out for validation."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % HELD_OUT_PART == 0
