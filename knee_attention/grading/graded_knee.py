"""A graded knee, its pictures on the film with the crop's box, and files of its masks."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from knee_attention.evidence.figures.pictures import (
    BORDER,
    at_image_size,
    film_with_boxes,
    mask_colours,
)
from knee_attention.evidence.prediction_sets import WIDE, range_in_words
from knee_attention.evidence.probabilities import classifying, ensemble
from knee_attention.files import written_whole
from knee_attention.films.borders import Frame
from knee_attention.films.image_files import write_picture
from knee_attention.films.legs import knee_name
from knee_attention.films.network_input import Place
from knee_attention.limits import GRADES, OSTEOARTHRITIS


@dataclass(frozen=True)
class GradedKnee:
    """A knee with the outputs of a model.

    Attributes:
        side: the patient's side, `"R"` or `"L"`; None if it is unknown.
        image: `(height, width)` uint8, the knee as the network saw it.
        branches: `{output: (5,)}` probabilities of the grades 0 to 4 by each output.
        chosen: the output that gives the predicted grade.
        branch_masks: `{branch: (h, w)}` attention masks in 0-1, at the branch's resolution.
        inverted: whether the image was a photographic negative and was inverted.
        place: where the joint was cropped from its film, for a model of crops; None for half a
            film, or for an image of one knee.
        likeness: correlation with the mean training knee, see `network_input.likeness`; None if
            the model file does not record that knee.
        unlike: whether `likeness` is below that of 95 of 100 validation knees.
        mirrored: whether the network saw the mirror image; the masks are mirrored then, too.
        pixel_aspect: height over width of the file's pixels. If it is not 1, the film was resampled
            to square pixels first.
        frame: the uniform border that was cropped off before grading.
        decided: the grade by the decision rule; None means the most probable grade.
        grade_set: lowest and highest grade of the prediction set; None if the model has no sets.
        coverage: the share of knees whose set holds the true grade, if they are like the knees of
            the calibration.
    """

    side: str | None
    image: np.ndarray = field(repr=False)
    branches: dict[str, np.ndarray]
    chosen: str
    branch_masks: dict[str, np.ndarray] = field(repr=False)
    inverted: bool = False
    place: Place | None = field(default=None, repr=False)
    likeness: float | None = None
    unlike: bool = False
    mirrored: bool = False
    pixel_aspect: float = 1.0
    frame: Frame = Frame()
    decided: int | None = None
    grade_set: tuple[int, int] | None = None
    coverage: float | None = None

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """The crop on the film: left, top, width and height in pixels; None without a crop."""
        return self.place.box if self.place else None

    @property
    def probabilities(self) -> np.ndarray:
        """`(5,)` probabilities of the grades by the chosen output."""
        return self.branches[self.chosen]

    @property
    def grade(self) -> int:
        """The Kellgren-Lawrence grade by the chosen output and the decision rule."""
        return int(self.probabilities.argmax()) if self.decided is None else self.decided

    @property
    def expected_grade(self) -> float:
        """The mean grade under the chosen output's probabilities."""
        return float(self.probabilities @ np.array(GRADES))

    @property
    def oa_probability(self) -> float:
        """The probability of radiographic osteoarthritis, KL >= 2, by the chosen output."""
        return float(self.probabilities[OSTEOARTHRITIS:].sum())

    @property
    def between(self) -> tuple[int, int] | None:
        """The two grades between which the knee is, if `grade` and `oa_probability` disagree.

        They disagree if one says osteoarthritis (KL >= 2, or a probability of at least one half)
        and the other does not.
        """
        if (self.grade >= OSTEOARTHRITIS) == (self.oa_probability >= 0.5):
            return None
        return min(self.grade, OSTEOARTHRITIS - 1), max(self.grade, OSTEOARTHRITIS)

    @property
    def look_again(self) -> bool:
        """Whether a reader should look again.

        The prediction set has three grades or more, or the knee is `unlike`.
        """
        lowest, highest = self.grade_set or (self.grade, self.grade)
        return self.unlike or highest - lowest + 1 >= WIDE

    @property
    def words(self) -> str:
        """The grade, its prediction set and `between`: `"KL 2 (1-2), between 1 and 2"`."""
        shown = f"KL {self.grade}"
        if self.grade_set:
            shown += f" ({range_in_words(*self.grade_set)})"
        if self.between:
            shown += ", between {} and {}".format(*self.between)
        return shown

    @property
    def ensemble(self) -> np.ndarray:
        """`(5,)` probabilities of all classifying outputs, averaged before the softmax."""
        members = classifying(self.branches).values()
        return ensemble([values[np.newaxis] for values in members])[0]

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """`{branch: (height, width)}` attention masks in 0-1, at the image's size."""
        return {
            branch: at_image_size(mask, self.image.shape)
            for branch, mask in self.branch_masks.items()
        }

    def as_on_film(self, picture: np.ndarray) -> np.ndarray:
        """The knee's `image` or a mask, flipped back to the film's left and right if mirrored."""
        return np.ascontiguousarray(picture[:, ::-1]) if self.mirrored else picture


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
    for branch, mask in knee.branch_masks.items():
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
        for branch, mask in knee.branch_masks.items()
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
