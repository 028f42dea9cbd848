"""Pictures of knees on their film, with the crop's box and the attention inside it."""

import cv2
import numpy as np

from knee_attention.evidence.figures.pictures import (
    BORDER,
    CAPTION,
    OPACITY,
    film_with_boxes,
    mask_colours,
)
from knee_attention.films.network_input import Place
from knee_attention.grading.graded_knee import GradedKnee

AROUND = 0.5
"""How far the view of one knee extends beyond its box, as a fraction of the box."""


def film_panel(knees: list[GradedKnee]) -> np.ndarray:
    """Draw a film with the boxes of its knees and the chosen branch's attention inside them.

    Args:
        knees: the knees of one film, each with a `place`.

    Returns:
        `(HEIGHT + 52, width, 3)` uint8, blue, green, red.
    """
    film = cv2.cvtColor(knees[0].place.film, cv2.COLOR_GRAY2BGR)
    for knee in knees:
        if knee.place.whole and knee.mask is not None:
            colours = _on_film(knee.as_on_film(knee.mask), knee.place)
            inside = colours[..., 3:] > 0
            film = np.where(inside, _blend(film, colours[..., :3]), film)
    boxes = [_in_picture(knee.place) for knee in knees]
    return cv2.copyMakeBorder(film_with_boxes(film, boxes), BORDER, CAPTION + BORDER, BORDER,
                              BORDER, cv2.BORDER_CONSTANT)  # fmt: skip


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
    colours[..., 3] = np.maximum(colours[..., 3], 1)  # 0 marks the outside of the box
    canvas = np.zeros((*place.film.shape, 4), np.uint8)
    rows = slice(max(top, 0), min(top + height, len(canvas)))
    columns = slice(max(left, 0), min(left + width, canvas.shape[1]))
    canvas[rows, columns] = colours[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return canvas


def _blend(film: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return cv2.addWeighted(np.ascontiguousarray(colours), OPACITY, film, 1 - OPACITY, 0)
