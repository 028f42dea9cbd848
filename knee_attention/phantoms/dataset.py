"""A data set of prepared phantom knees, for users without data."""

from math import ceil

import numpy as np

from knee_attention.datasets.knees import Dataset, Knees, in_threads
from knee_attention.datasets.layout import SPLITS
from knee_attention.films.cutting import Cutting
from knee_attention.films.joint_crops import crop_of
from knee_attention.films.joints import box_around
from knee_attention.films.legs import split_knees
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out, resize_knee
from knee_attention.limits import GRADES
from knee_attention.phantoms.anatomy import SIDES
from knee_attention.phantoms.film import PhantomFilm, phantom_film

PHANTOM_FILMS = {"train": 300, "validation": 40, "test": 100}


def phantom_dataset(
    size: tuple[int, int],
    limit: int | None = None,
    seed: int = 0,
    wanted: tuple[str, ...] = SPLITS,
    crop: str = "auto",
    equalization: str = "hist",
) -> Dataset:
    """Draw phantom films and prepare their knees by the same steps as real ones.

    Args:
        size: height and width of the prepared knees in pixels.
        limit: at most this many knees per split, rounded up to whole films; all grades are equally
            frequent.
        seed: seed of all films.
        wanted: the splits to draw.
        crop: the part of a film that a knee shows: `"half"` or `"auto"`, half of the film;
            `"square"` or `"antony"`, a crop at the joint's true position.
        equalization: how the knees' histograms are equalised; one of `limits.EQUALIZATIONS`.
    """
    crop = "half" if crop == "auto" else crop
    # Cutting does not equalise, because the network input is equalised anyway.
    cutting = Cutting("middle", tuple(size), equalize="none", crop=crop)
    preparation = Preparation(cutting, equalization=equalization)
    splits = {}
    for split in wanted:
        count = PHANTOM_FILMS[split]
        if limit is not None:
            count = min(count, ceil(limit / 2))
        generator = np.random.default_rng((seed, SPLITS.index(split)))
        grades = generator.permutation(np.arange(2 * count) % len(GRADES)).reshape(count, 2)
        seeds = generator.integers(2**31, size=count)
        images = np.empty((2 * count, *size), np.uint8)
        masks = np.empty((2 * count, *size), bool)
        splits[split] = Knees(
            images=images,
            grades=grades.reshape(-1).astype(np.int64),
            files=[f"{split}/phantom{film:04d}_{side}" for film in range(count) for side in "RL"],
            subjects=[f"{split}{film:04d}" for film in range(count) for _ in "RL"],
            masks=masks,
        )

        def draw(film, grades=grades, seeds=seeds, images=images, masks=masks) -> None:
            right, left = grades[film]
            phantom = phantom_film((int(right), int(left)), int(seeds[film]))
            for position, side in enumerate(SIDES, start=2 * film):
                mask = phantom.masks[side].astype(np.uint8) * 255
                knee, mask = (_part(image, phantom, side, crop) for image in (phantom.image, mask))
                images[position] = preparation.half(knee, side, size)
                masks[position] = resize_knee(mask, size) > 127

        in_threads(draw, count, f"drawing phantom films, {split}")
    return Dataset(splits, synthetic=True, preparation=preparation)


def _part(image: np.ndarray, phantom: PhantomFilm, side: str, crop: str) -> np.ndarray:
    """Cut one knee out of a phantom's film, or out of a mask of the same size."""
    if crop == "half":
        return split_knees(image, "middle")[side]
    return cut_out(image, crop_of(box_around(phantom.boxes[side]), crop))
