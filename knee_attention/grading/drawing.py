"""Pictures of knees on their film, with the crop's box, and files of their masks."""

from pathlib import Path

import cv2
import numpy as np

from knee_attention.evidence.figures.pictures import (
    BORDER,
    at_image_size,
    film_with_boxes,
    mask_colours,
)
from knee_attention.files import written_whole
from knee_attention.films.image_files import write_picture
from knee_attention.films.names import knee_name
from knee_attention.films.network_input import Place
from knee_attention.grading.graded_knee import GradedKnee

AROUND = 0.5
"""How far the view of one knee extends beyond its box, as a fraction of the box."""


def film_panel(knees: list[GradedKnee], height: int) -> np.ndarray:
    """Draw a film with the boxes of its knees.

    Args:
        knees: the knees of one film, each with a `place`.
        height: height of the result in pixels, at least `HEIGHT + BORDER`.

    Returns:
        `(height, width, 3)` uint8, blue, green, red.
    """
    film = film_with_boxes(knees[0].place.film, [_in_picture(knee.place) for knee in knees])
    return cv2.copyMakeBorder(film, BORDER, height - BORDER - len(film), BORDER, BORDER,
                              cv2.BORDER_CONSTANT)  # fmt: skip


def write_masks(knee: GradedKnee, film: str, folder: Path) -> None:
    """Write the attention masks of a knee, as values and as pictures.

    `FILM_SIDE_BRANCH.npy` holds the mask `(h, w)` float32 at the branch's own resolution, 0 to 1.
    `FILM_SIDE_BRANCH.png` is the mask at the size of `FILM_SIDE_knee.png`, the knee as the network
    saw it: 8 bits, 255 for 1. Nothing is mirrored. Without a known side, `SIDE_` is left out.

    Args:
        knee: the graded knee.
        film: the name of its film without suffix.
        folder: an existing folder.

    Raises:
        InputError: a file cannot be written.
    """
    name = knee_name(film, knee.side) if knee.side else film
    write_picture(folder / f"{name}_knee.png", knee.as_on_film(knee.image))
    for branch, mask in knee.low_masks.items():
        mask = knee.as_on_film(mask).astype(np.float32)
        with written_whole(folder / f"{name}_{branch}.npy") as beside:
            np.save(beside, mask)
        levels = np.round(255 * at_image_size(mask, knee.image.shape)).astype(np.uint8)
        write_picture(folder / f"{name}_{branch}.png", levels)


def seen_around(knee: GradedKnee) -> tuple[np.ndarray, list[int], dict[str, np.ndarray]]:
    """One knee with its surroundings on the film, as the page shows it.

    Args:
        knee: a knee whose place is whole: the masks of a padded knee cover more than its box.

    Returns:
        The picture `(height, width)` uint8; the knee's box in the picture's pixels; and the mask of
        every branch `(height, width, 4)` uint8, see `mask_colours`, transparent outside the box.
    """
    left, top, width, height = _in_picture(knee.place)
    rows = _reach(top, height, knee.place.film.shape[0])
    columns = _reach(left, width, knee.place.film.shape[1])
    picture = np.ascontiguousarray(knee.place.film[rows, columns])
    masks = {
        branch: np.ascontiguousarray(_on_film(knee.as_on_film(mask), knee.place)[rows, columns])
        for branch, mask in knee.low_masks.items()
    }
    return picture, [left - columns.start, top - rows.start, width, height], masks


def _reach(start: int, size: int, whole: int) -> slice:
    beyond = round(AROUND * size)
    return slice(max(0, start - beyond), min(whole, start + size + beyond))


def _in_picture(place: Place) -> list[int]:
    """The box in pixels of `place.film`."""
    return [round(value * place.scale) for value in place.box]


def _on_film(mask: np.ndarray, place: Place) -> np.ndarray:
    """A mask in colour at its place on the film, `(height, width, 4)` uint8, else transparent."""
    left, top, width, height = _in_picture(place)
    colours = mask_colours(mask, (height, width))
    canvas = np.zeros((*place.film.shape, 4), np.uint8)
    rows = slice(max(top, 0), min(top + height, len(canvas)))
    columns = slice(max(left, 0), min(left + width, canvas.shape[1]))
    canvas[rows, columns] = colours[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return canvas
