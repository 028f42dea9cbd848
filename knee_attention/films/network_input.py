"""Network input for each knee on an image, its place on the film, and its likeness to others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from knee_attention.films.borders import Frame, without_frame
from knee_attention.films.joint_crops import joint_crops
from knee_attention.films.legs import split_knees
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import to_grey, to_uint8
from knee_attention.limits import SMALLEST_SIDE, TYPICAL_SIDE, VIEWS

PICTURE_HEIGHT = 960
"""The largest height in pixels of a film that is kept for display."""


@dataclass(frozen=True)
class Place:
    """The part of a film that a knee was cut out of.

    Attributes:
        box: left, top, width and height in pixels of the film; it may extend beyond the film.
        film: `(height, width)` uint8, the film for display, bone bright, at most 960 rows.
        scale: pixels of `film` per pixel of the original film.
        size: height and width of the original film.
        whole: whether the network's image shows exactly the box; a padded image also has borders.
    """

    box: tuple[int, int, int, int]
    film: np.ndarray
    scale: float
    size: tuple[int, int]
    whole: bool


@dataclass(frozen=True)
class PreparedKnee:
    """A knee as network input.

    Attributes:
        side: the patient's side, `"R"` or `"L"`; None if unknown.
        image: `(height, width)` uint8 of the network's input size.
        place: where the joint was cut out; None if the image is half a film or was given as a
            single knee.
        mirrored: whether `image` is mirrored.
        frame: the border of one grey that was cut off the image first.
    """

    side: str | None
    image: np.ndarray
    place: Place | None = None
    mirrored: bool = False
    frame: Frame = Frame()


def prepared_knees(
    image: np.ndarray, view: str, side: str | None, preparation: Preparation, size: tuple[int, int]
) -> list[PreparedKnee]:
    """Find the knees on an image and prepare each as network input.

    Args:
        image: `(height, width[, channels])`, bone bright: a film of both knees, half of one, or a
            knee.
        view: one of `limits.VIEWS`.
        side: the side of a single knee; None if unknown.
        preparation: how the network's training knees were made. If they are crops of joints, the
            joints are found and cut out, unless the image is itself such a crop.
        size: height and width of the network's input in pixels.

    Returns:
        The right and the left knee of a film, or one knee.

    Raises:
        ValueError: not an image, a blank or too small one, one knee instead of two, or no joint
            where a crop of a joint is needed.

    Example:
        >>> from knee_attention.films.preparation import Preparation
        >>> from knee_attention.phantoms.film import phantom_film
        >>> film = phantom_film((0, 3), seed=0).image
        >>> knees = prepared_knees(film, "auto", None, Preparation(), (320, 224))
        >>> [(knee.side, knee.image.shape) for knee in knees]
        [('R', (320, 224)), ('L', (320, 224))]
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
    """The knees of a film, cut out around the joints; `within` is the film without its frame."""
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
        known = crop.side if len(crops) > 1 else side  # the place of one joint shows no side
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
    """Convert an image to grey; refuse one that cannot show a knee.

    Args:
        image: `(height, width[, channels])`.
        view: one of `limits.VIEWS`.

    Returns:
        `(height, width)`, of the same dtype.

    Raises:
        ValueError: not an image, a blank or too small one, or an unknown view.
    """
    if view not in VIEWS:
        raise ValueError(f"expected a view of {', '.join(VIEWS)}. Received: {view!r}")
    image = to_grey(image)
    if min(image.shape) < SMALLEST_SIDE:
        raise ValueError(f"the image is too small: {image.shape[1]}x{image.shape[0]} pixels")
    if image.min() == image.max():
        raise ValueError("the image is blank")
    return image


def knees_of(
    image: np.ndarray, view: str = "auto", split: str = "auto"
) -> dict[str | None, np.ndarray]:
    """Split an image into its knees.

    Args:
        image: `(height, width[, channels])`, bone bright; the patient's left knee is on the
            image's right.
        view: `"bilateral"`, a film of both knees; `"single"` or `"crop"`, one knee; `"auto"`, both
            knees if `split_knees` finds a gap between two legs, else one.
        split: where to cut a film, as for `split_knees`.

    Returns:
        `{"R": right knee, "L": left knee}`, or `{None: the image}` for one knee of unknown side.

    Raises:
        ValueError: not an image, a blank or too small one, a single knee or none in a bilateral
            view, or an unknown view.
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


def coarse(knee: np.ndarray) -> np.ndarray:
    """Shrink a prepared knee `(height, width)` uint8 to `(16, 16)` float32."""
    size = TYPICAL_SIDE, TYPICAL_SIDE
    return cv2.resize(knee.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def typical_knee(knees: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of prepared knees and their mirror images.

    Args:
        knees: each `(height, width)` uint8.

    Returns:
        `(16, 16)` uint8.
    """
    mean = np.mean([coarse(knee) for knee in knees], axis=0)
    return np.round((mean + mean[:, ::-1]) / 2).astype(np.uint8)


def likeness(knee: np.ndarray, typical: np.ndarray) -> float:
    """The correlation of a prepared knee with a typical one, from -1 to 1; 0 for a blank image.

    Args:
        knee: `(height, width)` uint8.
        typical: `(16, 16)`, the result of `typical_knee`.
    """
    one, other = (grey - grey.mean() for grey in (coarse(knee), typical.astype(np.float32)))
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.vdot(one, other)) / length if length else 0.0


def with_mirror_images(knees: np.ndarray, flips: bool) -> list[np.ndarray]:
    """The knees and, if asked, their mirror images, for one pass of the network each.

    Args:
        knees: `(n, height, width, ...)`, any dtype.
        flips: whether the probabilities are averaged over the mirror images too.
    """
    return [knees, np.ascontiguousarray(knees[:, :, ::-1])] if flips else [knees]
