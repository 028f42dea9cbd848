"""Recognising and inverting photographic negatives, on which bone is dark.

Archives hold some: 110 of the 8,260 knees in the public OAI-derived set are negatives. A DICOM
file's PhotometricInterpretation can be wrong.
"""

import os

import numpy as np

from knee_attention.errors import ImageError
from knee_attention.films.borders import without_frame
from knee_attention.films.localiser import SCALES, shipped_localiser
from knee_attention.films.radiograph import resize_knee, to_grey, to_uint8
from knee_attention.limits import POLARITIES, SMALLEST_SIDE

THUMBNAIL = (128, 128)
"""Rows and columns to which the image is shrunk before its grey values are compared."""

FLAT = 0.02
"""A row or column at the border does not show the patient if its standard deviation is below this
part of the range. Beyond the collimator a film is black or white, whatever its polarity."""

MOST_BORDER = 0.2
"""The largest part of each side that can be such a border."""

SIDES = 0.05
"""The part of the width at the left and at the right with which the middle is compared."""

CLEAR = 0.45
"""The localiser decides if the difference of mean ranks is closer to 0 than this. Of 529 clinical
films with narrow legs, 33 have a difference below 0, down to -0.40. Of the 73 crops of the public
set that are so close to 0, the localiser mistakes none for a negative."""

SEEN_JOINT = 0.5
"""The lowest joint score with which the localiser decides."""

THUMBNAIL_SIDE = 512
"""The longer side in pixels to which a larger image is shrunk for the localiser."""

FILM_OF_TWO = 1.1
"""An image whose width is more than its height times this may show two legs with a gap between."""


def is_negative(image: np.ndarray) -> bool:
    """Whether an image is a negative; it may show a whole film or a single knee.

    The sign of `rank_difference` decides if its absolute value is at least `CLEAR`. Otherwise the
    localiser decides: its score is higher if bone is bright. Its first scale with a joint counts.
    If it finds none, or if the image is too narrow for it, the sign decides. Blank and too small
    images count as not negative.

    Args:
        image: as for `rank_difference`.

    Raises:
        ValueError: not the shape of an image, or no pixels.
    """
    difference = rank_difference(image)
    grey = to_grey(np.asarray(image))
    if min(grey.shape) < SMALLEST_SIDE or grey.min() == grey.max():
        return False
    scale = min(1.0, THUMBNAIL_SIDE / max(grey.shape))
    shape = tuple(round(side * scale) for side in grey.shape)
    if abs(difference) < CLEAR and min(shape) >= SMALLEST_SIDE:
        small, localiser = to_uint8(_shrunk(grey, shape)), shipped_localiser()
        for reach in SCALES:
            as_it_is, inverted = (localiser.highest_score(one, reach) for one in (small, ~small))
            if max(as_it_is, inverted) >= SEEN_JOINT:
                return inverted > as_it_is
    return difference < 0


def is_negative_knee(image: np.ndarray) -> bool:
    """Whether an image that a single knee fills is a negative, by `rank_difference` alone."""
    return rank_difference(image) < 0


def rank_difference(image: np.ndarray) -> float:
    """How much brighter the middle of an image is than its sides, from -1 to 1.

    Nothing absorbs the beam beside a leg, so the sides are dark unless the image is a negative. The
    mean rank of the grey values in the middle half of the width is compared with that at the left
    and right border. Ranks depend neither on bit depth nor on equalisation. A wide image is also
    evaluated as two halves, and the result with the larger absolute value counts.

    On 6,604 crops of the public set the result is at most -0.36 for the 84 negatives and at least
    +0.34 for all others. On real films, halves and cut knees of OAI it is at least +0.28.

    Args:
        image: `(height, width[, channels])` of any numeric dtype: a crop of a joint, half a film,
            a knee cut from a film, or a film of both legs. A frame of one grey is ignored.

    Raises:
        ValueError: not the shape of an image, or no pixels.
    """
    grey, _ = without_frame(to_grey(np.asarray(image)))
    if not grey.size:
        raise ValueError(f"expected an image with pixels. Received: {grey.shape}")
    ranks = _ranks(_within_borders(_shrunk(grey, THUMBNAIL)))
    difference = _middle_over_sides(ranks)
    if grey.shape[1] > FILM_OF_TWO * grey.shape[0]:
        halves = np.mean([_middle_over_sides(half) for half in np.array_split(ranks, 2, axis=1)])
        difference = max(difference, float(halves), key=abs)
    return difference


def bone_bright(
    image: np.ndarray, polarity: str = "auto", shows: str = "film"
) -> tuple[np.ndarray, bool]:
    """Invert an image if it is a negative, so that bone is bright.

    Args:
        image: as for `rank_difference`.
        polarity: `"auto"`, or `"as-is"` to never invert.
        shows: `"film"`, any image; or `"knee"`, a knee of a data set that fills its image, for
            which `rank_difference` alone decides.

    Returns:
        The image itself, or its negative in the same dtype; and whether it was inverted.

    Raises:
        ValueError: not the shape of an image, or an unknown polarity.
    """
    if polarity not in POLARITIES:
        raise ValueError(f"expected a polarity of {', '.join(POLARITIES)}. Received: {polarity!r}")
    judge = is_negative if shows == "film" else is_negative_knee
    if polarity == "as-is" or not judge(image):
        return image, False
    return negative(image), True


def refused(path: str | os.PathLike, error: Exception, inverted: bool) -> ImageError:
    """The error for an image that cannot be used; it mentions an inversion of the image.

    Args:
        path: the file, as the user named it.
        error: the original error.
        inverted: whether the image was a negative and was inverted.
    """
    known = isinstance(error, ImageError)
    if known and not inverted:
        return error
    reason = error.reason if known else str(error)
    if inverted:
        reason += " (it is a photographic negative and was inverted first)"
    return ImageError(path, reason, known and error.temporary)


def negative(image: np.ndarray) -> np.ndarray:
    """The negative of an image, in the same dtype; floats are reflected within their own range."""
    if image.dtype == bool or np.issubdtype(image.dtype, np.integer):
        return ~image
    return image.min() + image.max() - image


def _shrunk(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink an image to a height and width. The result is float32 unless it is uint8 or uint16."""
    if grey.dtype not in (np.uint8, np.uint16):
        grey = np.nan_to_num(grey.astype(np.float32), posinf=0, neginf=0)
    return resize_knee(grey, size)


def _within_borders(thumbnail: np.ndarray) -> np.ndarray:
    columns = _varied(thumbnail)
    return thumbnail[_varied(thumbnail[:, columns].T), columns]


def _varied(thumbnail: np.ndarray) -> slice:
    """The range of columns without the flat ones at both borders."""
    count = thumbnail.shape[1]
    varied = np.flatnonzero(thumbnail.std(axis=0) >= FLAT * np.ptp(thumbnail))
    if not len(varied):
        return slice(0, count)
    border = int(MOST_BORDER * count)
    return slice(min(varied[0], border), max(varied[-1] + 1, count - border))


def _ranks(grey: np.ndarray) -> np.ndarray:
    """The rank of each pixel's grey value, from 0 to 1; equal values get their mean rank."""
    _, inverse, counts = np.unique(grey, return_inverse=True, return_counts=True)
    places = np.cumsum(counts) - (counts + 1) / 2
    return (places / max(grey.size - 1, 1))[inverse].reshape(grey.shape)


def _middle_over_sides(ranks: np.ndarray) -> float:
    """The mean rank of the middle half of the columns minus that of the outermost columns."""
    width = ranks.shape[1]
    side, quarter = max(1, round(SIDES * width)), width // 4
    middle = ranks[:, quarter : width - quarter].mean()
    return float(middle - np.hstack([ranks[:, :side], ranks[:, width - side :]]).mean())
