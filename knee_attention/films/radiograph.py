"""Grey values and size of a radiograph: the paper's preparation (section 4).

8 bits -> resize to 320x224 -> equalise the histogram. Training and grading call the same functions.
Module `legs` splits films, module `preparation` records the options.
"""

import cv2
import numpy as np

from knee_attention.limits import KNEE_SIZE, SMALLEST_SIDE

OUTLIER_SHARE, USED_RANGE = 1e-4, 2 / 3
"""Outliers are the darkest and the brightest 0.01% of the pixels. They are ignored if all other
pixels span less than 2/3 of the range."""

SAMPLED_ROWS = 512
"""The search for outliers skips rows and columns to save time, but examines at least this many."""


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Stretch an image's own range of grey values over 0-255, rounded exactly.

    The result does not depend on the bit depth: an image and its multiple give the same bytes. In
    images of more than 8 bits a few outliers, such as a burnt-in marker, do not count for the
    range.

    Args:
        image: `(height, width[, channels])`, any integer or float dtype.

    Returns:
        `(height, width)` uint8; all zeros if the image is constant.

    Raises:
        ValueError: not the shape of an image, not finite, or a side below `SMALLEST_SIDE` pixels.
    """
    grey = to_grey(np.asarray(image))
    if min(grey.shape) < SMALLEST_SIDE:
        raise ValueError(
            f"expected at least {SMALLEST_SIDE} pixels a side. "
            f"Received: {grey.shape[1]}x{grey.shape[0]}"
        )
    if grey.dtype == bool:
        grey = grey.astype(np.uint8)
    if np.issubdtype(grey.dtype, np.floating) and not np.isfinite(grey).all():
        raise ValueError("expected finite grey values. Received: NaN or infinity")
    grey, lowest, highest = _clip_outliers(grey)
    if lowest == highest:
        return np.zeros(grey.shape, np.uint8)
    if grey.dtype == np.uint8 and lowest == 0 and highest == 255:
        return grey
    if grey.dtype in (np.uint8, np.uint16):  # faster
        values = np.arange(int(highest) + 1).clip(lowest)
        return _look_up(_stretched(values, lowest, highest), grey)
    return _stretched(grey, lowest, highest)


def _clip_outliers(grey: np.ndarray) -> tuple[np.ndarray, float, float]:
    """An image of more than 8 bits without outliers, its darkest and its brightest value."""
    lowest, highest = grey.min(), grey.max()
    if grey.dtype == np.uint8:
        return grey, lowest, highest
    step = max(1, min(grey.shape) // SAMPLED_ROWS)
    shares = OUTLIER_SHARE, 1 - OUTLIER_SHARE
    low, high = np.quantile(grey[::step, ::step], shares, method="nearest")
    if 0 < float(high) - float(low) < USED_RANGE * (float(highest) - float(lowest)):
        return np.clip(grey, low, high), low, high
    return grey, lowest, highest


def _stretched(values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """Values between `lowest` and `highest` as uint8 grey values 0-255, rounded half up."""
    span = float(highest) - float(lowest)
    return np.floor((values.astype(np.float64) - float(lowest)) * 255 / span + 0.5).astype(np.uint8)


def _look_up(table: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """`table[grey]`. OpenCV 5 does this for 16 bits three times as fast as NumPy; OpenCV 4 cannot.
    """
    if grey.dtype == np.uint16 and int(cv2.__version__.split(".")[0]) >= 5:
        whole = np.zeros((1, 65536), np.uint8)
        whole[0, : len(table)] = table
        return cv2.LUT(grey, whole)
    return np.take(table, grey)


def cut_out(
    film: np.ndarray, box: tuple[int, int, int, int], beyond: str = "edge"
) -> np.ndarray:
    """Cut a box out of a film.

    Args:
        film: `(height, width)` array.
        box: left, top, width and height in pixels; it may extend beyond the film.
        beyond: how pixels beyond the film are filled: `"edge"` with the film's nearest pixels,
            `"dark"` with its darkest grey.

    Returns:
        `(box[3], box[2])`, of the film's dtype.
    """
    left, top, width, height = box
    rows, columns = np.arange(top, top + height), np.arange(left, left + width)
    inside = [
        (places >= 0) & (places < size)
        for places, size in zip((rows, columns), film.shape, strict=True)
    ]
    if inside[0].all() and inside[1].all():
        return film[top : top + height, left : left + width]
    cut = film[np.ix_(rows.clip(0, film.shape[0] - 1), columns.clip(0, film.shape[1] - 1))]
    if beyond == "dark":
        cut[~np.outer(*inside)] = film.min()
    return cut


def resize_knee(
    knee: np.ndarray, size: tuple[int, int] = KNEE_SIZE, fit: str = "stretch"
) -> np.ndarray:
    """Resize a knee to one size.

    Args:
        knee: `(height, width)` array.
        size: height and width of the result in pixels.
        fit: `"stretch"` (the paper's), or `"pad"`: keep the aspect ratio and centre the knee on
            black.

    Returns:
        `(size[0], size[1])`, of the same dtype.

    Raises:
        ValueError: an unknown `fit`.
    """
    height, width = size
    if knee.shape == (height, width):
        return knee
    if fit == "stretch":
        return _resample(knee, height, width)
    if fit == "pad":
        scale = min(height / knee.shape[0], width / knee.shape[1])
        inner_height = min(height, max(1, round(knee.shape[0] * scale)))
        inner_width = min(width, max(1, round(knee.shape[1] * scale)))
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        padded = np.zeros(size, knee.dtype)
        padded[top : top + inner_height, left : left + inner_width] = _resample(
            knee, inner_height, inner_width
        )
        return padded
    raise ValueError(f"expected fit 'stretch' or 'pad'. Received: {fit!r}")


def _resample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image; shrinking averages areas, and much larger images are halved first for speed.
    """
    while image.shape[0] >= 4 * height and image.shape[1] >= 4 * width:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * rows, : 2 * columns]
        image = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=interpolation)


def equalize(knee: np.ndarray, method: str = "hist") -> np.ndarray:
    """Equalise the histogram of a knee.

    Args:
        knee: `(height, width)` uint8.
        method: `"hist"` over the whole image (the paper's), `"clahe"` (8x8 tiles, clip limit 2),
            or `"none"`.

    Returns:
        `(height, width)` uint8.

    Raises:
        ValueError: an unknown `method`.
    """
    if method == "hist":
        return cv2.equalizeHist(knee)
    if method == "clahe":
        return cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(knee)
    if method == "none":
        return knee
    raise ValueError(f"expected method 'hist', 'clahe' or 'none'. Received: {method!r}")


def prepare_knee(
    knee: np.ndarray,
    size: tuple[int, int] = KNEE_SIZE,
    fit: str = "stretch",
    equalization: str = "hist",
) -> np.ndarray:
    """Convert one knee to grey, resize it and equalise it, as the networks expect.

    Args:
        knee: `(height, width[, channels])`, any dtype: half a film, or a crop of a joint.
        size: height and width of the result in pixels.
        fit: as for `resize_knee`.
        equalization: the `method` of `equalize`.

    Returns:
        `(size[0], size[1])` uint8.

    Raises:
        ValueError: not an image, too small for a knee, or an unknown `fit` or `equalization`.
    """
    return equalize(resize_knee(to_uint8(knee), size, fit), equalization)


LUMINANCE = np.array([0.114, 0.587, 0.299])
"""Weights of blue, green and red (ITU-R BT.601). OpenCV uses the same."""


def to_grey(image: np.ndarray) -> np.ndarray:
    """The luminance of an image whose channels are in OpenCV's order (blue, green, red, alpha).

    Args:
        image: `(height, width)` or `(height, width, 1 | 2 | 3 | 4)`, any numeric dtype.

    Returns:
        `(height, width)` of the same dtype; float64 for colour images that are not uint8, uint16 or
        float32.

    Raises:
        ValueError: any other shape.
    """
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[2] in (1, 2):
        return np.ascontiguousarray(image[..., 0])
    if image.ndim == 3 and image.shape[2] in (3, 4):
        colours = np.ascontiguousarray(image[..., :3])
        if (colours == colours[..., :1]).all():
            return np.ascontiguousarray(colours[..., 0])
        if colours.dtype in (np.uint8, np.uint16, np.float32):
            return cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)
        return colours @ LUMINANCE
    raise ValueError(f"expected an image (height, width[, channels]). Received: {image.shape}")
