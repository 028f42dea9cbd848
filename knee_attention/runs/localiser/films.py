"""Films whose joints are known, for the localiser: phantoms, or a folder and a table of boxes."""

from pathlib import Path

import numpy as np

from knee_attention.datasets.joint_boxes import person_of, read_joint_boxes
from knee_attention.datasets.knees import in_threads
from knee_attention.errors import InputError
from knee_attention.films.inputs import open_image
from knee_attention.films.joints import box_around
from knee_attention.films.polarity import bone_bright
from knee_attention.films.radiograph import resize_knee, to_uint8
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.views import BoxedFilm

LONGEST_SIDE = 768
"""Films are kept at this size, three times that of the localiser's input."""

FEWEST_PERSONS = 10
"""Of whom one is for validation and two are for the test."""

PHANTOM_SPLITS = {"train": 0, "validation": 1, "test": 2}


def phantom_films(count: int, split: str, seed: int) -> list[BoxedFilm]:
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
        boxes = {side: box_around(region) for side, region in phantom.boxes.items()}
        films[place] = BoxedFilm.of(phantom.image, boxes, f"phantom{place:04d}")

    in_threads(draw, count, f"drawing phantom films, {split}")
    return films


def real_films(data: Path, table: Path, seed: int) -> dict[str, list[BoxedFilm]]:
    """Read films and their boxes, split by persons: 70% train, 10% validation, 20% test.

    Raises:
        InputError: as `read_joint_boxes` does, a film that cannot be read, or too few persons.
    """
    images = {}

    def size_of(path: Path) -> tuple[int, int]:
        images[path] = to_uint8(bone_bright(open_image(path)[0])[0])
        return images[path].shape

    films, persons = [], []
    for path, boxes in read_joint_boxes(table, data, size_of).items():
        image = images.pop(path)
        scale = min(1.0, LONGEST_SIDE / max(image.shape))
        small = resize_knee(image, tuple(round(side * scale) for side in image.shape))
        scaled = {side: tuple(v * scale for v in box) for side, box in boxes.items()}
        films.append(BoxedFilm.of(small, scaled, str(path.relative_to(data))))
        persons.append(person_of(path.stem))
    known = sorted(set(persons))
    if len(known) < FEWEST_PERSONS:
        raise InputError(f"{table}: films of {len(known)} persons, where training, validation and "
                         f"test take {FEWEST_PERSONS} at least")
    np.random.default_rng(seed).shuffle(known)
    validation, test = max(1, len(known) // 10), max(2, len(known) // 5)
    split_of = dict.fromkeys(known, "train")
    split_of |= dict.fromkeys(known[:test], "test")
    split_of |= dict.fromkeys(known[test : test + validation], "validation")
    return {
        split: [film for film, who in zip(films, persons, strict=True) if split_of[who] == split]
        for split in PHANTOM_SPLITS
    }
