"""From an image to what a network takes of each knee on it, and where on the film that lies."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from knee_attention.films.borders import Frame, without_frame
from knee_attention.films.grey import to_grey
from knee_attention.films.joint_crops import joint_crops
from knee_attention.films.legs import split_knees
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import to_uint8
from knee_attention.limits import SMALLEST_SIDE, VIEWS

PICTURE_HEIGHT = 960
"""At most so many rows of a film are kept to be looked at."""


@dataclass(frozen=True)
class Place:
    """Where on its film a knee was cut out.

    Attributes:
        box: left, top, width and height in pixels of the film; it may reach beyond it.
        film: `(height, width)` uint8, the film to look at, bone bright, at most 960 rows.
        scale: pixels of `film` for one of the film itself.
        size: height and width of the film itself.
        whole: whether the network's image is the box and nothing else; padded ones hold more.
    """

    box: tuple[int, int, int, int]
    film: np.ndarray
    scale: float
    size: tuple[int, int]
    whole: bool


@dataclass(frozen=True)
class PreparedKnee:
    """A knee as a network takes it.

    Attributes:
        side: the patient's, `"R"` or `"L"`; None where it is not known.
        image: `(height, width)` uint8 of the network's size.
        place: where its joint was cut out; None for half a film, or a knee that was given as one.
        mirrored: whether `image` is the mirror image of what was given.
        frame: the border of one grey that was taken off the image first.
    """

    side: str | None
    image: np.ndarray
    place: Place | None = None
    mirrored: bool = False
    frame: Frame = Frame()


def prepared_knees(
    image: np.ndarray, view: str, side: str | None, preparation: Preparation, size: tuple[int, int]
) -> list[PreparedKnee]:
    """The knees of an image as a network takes them.

    Args:
        image: `(height, width[, channels])`, bone bright: a film of both knees, half of one, or a
            knee.
        view: one of `limits.VIEWS`.
        side: the side of a single knee, where it is known.
        preparation: how the network's knees were made. If they were crops of joints, the joints
            are found and cut out, unless the image is such a crop.
        size: height and width of the network's input in pixels.

    Returns:
        The right and the left knee of a film, or one knee.

    Raises:
        ValueError: no image, a blank or a small one, one knee where two are expected, or, where
            joints are needed, none.
    """
    within, frame = without_frame(image)
    if preparation.shows_joints:
        within = grey_image(within, view)
        knees = _joints(to_grey(image), within, frame, view, side, preparation, size)
    else:
        parts = knees_of(within, view, preparation.split)
        if None in parts:
            knees = [_single(parts[None], side, preparation, size)]
        else:
            knees = [_cut(half, known, preparation, size) for known, half in parts.items()]
    return [replace(knee, frame=frame) for knee in knees]


def _joints(
    film: np.ndarray, within: np.ndarray, frame: Frame, view: str, side: str | None,
    preparation: Preparation, size: tuple[int, int],
) -> list[PreparedKnee]:  # fmt: skip
    """The knees of a film, whose joints are looked for `within` its frame."""
    implants = "refuse" if view == "auto" else "accept"
    crops = joint_crops(within, view, preparation.known_crop, implants)
    if crops[0].box is None:
        return [_single(within, side, preparation, size)]
    picture = to_uint8(film)
    scale = min(1.0, PICTURE_HEIGHT / len(picture))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cutting = preparation.cutting
    whole = preparation.fit == "stretch" and (cutting is None or cutting.fit == "stretch")
    knees = []
    for crop in crops:
        place = Place(frame.moved(crop.box), picture, scale, film.shape, whole)
        known = crop.side if len(crops) > 1 else side  # one joint has no side by its place
        knees.append(_cut(crop.image, known, preparation, size, place))
    return knees


def _single(
    image: np.ndarray, side: str | None, preparation: Preparation, size: tuple[int, int]
) -> PreparedKnee:
    mirrored = preparation.mirrors(side) and not preparation.is_cut(image)
    return PreparedKnee(side, preparation.single(image, side, size), mirrored=mirrored)


def _cut(
    half: np.ndarray, side: str | None, preparation: Preparation, size: tuple[int, int],
    place: Place | None = None,
) -> PreparedKnee:  # fmt: skip
    return PreparedKnee(side, preparation.half(half, side, size), place, preparation.mirrors(side))


def grey_image(image: np.ndarray, view: str = "auto") -> np.ndarray:
    """An image as grey values, if it may show a knee.

    Args:
        image: `(height, width[, channels])`.
        view: one of `limits.VIEWS`.

    Returns:
        `(height, width)`, of the same dtype.

    Raises:
        ValueError: no image, a small or a blank one, or an unknown view.
    """
    if view not in VIEWS:
        raise ValueError(f"expected a view of {', '.join(VIEWS)}. Received: {view!r}")
    image = to_grey(image)
    if min(image.shape) < SMALLEST_SIDE:
        raise ValueError(f"the image has {image.shape[1]}x{image.shape[0]} pixels, too few")
    if image.min() == image.max():
        raise ValueError("the image is blank")
    return image


def knees_of(
    image: np.ndarray, view: str = "auto", split: str = "auto"
) -> dict[str | None, np.ndarray]:
    """The knees that an image shows.

    Args:
        image: `(height, width[, channels])`, bone bright; the patient's left knee is on the
            image's right.
        view: `"bilateral"`, a film of both knees; `"single"` or `"crop"`, one knee; or `"auto"`:
            both if the image has a gap between two legs, as `split_knees` finds it, whatever its
            shape.
        split: where to cut a film, as `split_knees` takes it.

    Returns:
        `{"R": right knee, "L": left knee}`, or `{None: the image}` for one knee of unknown side.

    Raises:
        ValueError: no image, a small or a blank one; a single knee, or none, where two are
            expected; or an unknown view.
    """
    image = grey_image(image, view)
    if view in ("single", "crop"):
        return {None: image}
    try:
        halves = split_knees(image, "auto")
    except ValueError:
        if view == "bilateral":
            raise
        return {None: image}
    return halves if split == "auto" else split_knees(image, split)
