"""Pictures of single knees and films, drawn with OpenCV, which is faster than Matplotlib."""

from collections.abc import Sequence

import cv2
import numpy as np

HEIGHT = 480
"""Height of a knee or film in a picture, in pixels."""

BORDER, CAPTION = 8, 36

FOUND, TRUE = (255, 209, 79), (90, 220, 90)
"""Colours of found and true boxes: blue, green, red."""

OPACITY = 0.55
"""Opacity of a mask over a film."""


def at_image_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask, bilinearly resized to `size` (height, width)."""
    return cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def mask_colours(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask in colours: dark at its minimum, yellow at its maximum.

    The colours span the range of this mask, so they are not comparable between knees.

    Args:
        mask: `(h, w)` float, of any resolution.
        size: height and width of the result.

    Returns:
        `(height, width, 4)` uint8: blue, green, red, and alpha. Alpha is the mask, stretched to
        0-255, so an overlay is transparent at the minimum.
    """
    enlarged = at_image_size(mask.astype(np.float32), size)
    spread = max(float(np.ptp(enlarged)), 1e-12)
    levels = np.round(255 * (enlarged - enlarged.min()) / spread).astype(np.uint8)
    return np.dstack([cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), levels])


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A film with a mask as overlay, in the colours of `mask_colours`.

    Args:
        image: `(height, width)` uint8.
        mask: `(h, w)` float, of any resolution.

    Returns:
        `(height, width, 3)` uint8, blue, green, red.
    """
    film = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    colours = np.ascontiguousarray(mask_colours(mask, image.shape)[..., :3])
    return cv2.addWeighted(colours, OPACITY, film, 1 - OPACITY, 0)


def film_with_boxes(
    film: np.ndarray, found: Sequence[Sequence[float]], true: Sequence[Sequence[float]] = (),
    caption: str = "",
) -> np.ndarray:
    """A film with joint boxes and an optional caption below.

    Args:
        film: `(height, width)` uint8, or `(height, width, 3)` in blue, green and red.
        found: left, top, width and height of boxes drawn in blue.
        true: boxes drawn in green.
        caption: ASCII text.

    Returns:
        `(HEIGHT[ + 24], width, 3)` uint8, blue, green, red.
    """
    scale = HEIGHT / film.shape[0]
    size = (max(1, round(film.shape[1] * scale)), HEIGHT)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(film, size, interpolation=interpolation)
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    for boxes, colour in ((true, TRUE), (found, FOUND)):
        for left, top, width, height in boxes:
            corners = np.array([(left, top), (left + width, top + height)]) * scale
            start, end = np.round(corners).astype(int).tolist()
            cv2.rectangle(picture, start, end, colour, 2, cv2.LINE_AA)
    if caption:
        picture = cv2.copyMakeBorder(picture, 0, 24, 0, 0, cv2.BORDER_CONSTANT)
        cv2.putText(picture, caption, (6, HEIGHT + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
                    (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def captioned(image: np.ndarray, mask: np.ndarray | None, caption: str) -> np.ndarray:
    """A knee, next to it the knee with its mask as overlay, and a caption below.

    Args:
        image: `(height, width)` uint8.
        mask: `(h, w)` float, of any resolution; None for only the knee.
        caption: ASCII text.

    Returns:
        `(HEIGHT + 52, width, 3)` uint8, blue, green, red.
    """
    width = round(image.shape[1] * HEIGHT / image.shape[0])
    enlarged = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    shown = cv2.cvtColor(enlarged, cv2.COLOR_GRAY2BGR)
    if mask is not None:
        shown = np.hstack([shown, overlay(enlarged, mask)])
    picture = cv2.copyMakeBorder(
        shown, BORDER, CAPTION + BORDER, BORDER, BORDER, cv2.BORDER_CONSTANT
    )
    place = (BORDER, BORDER + HEIGHT + CAPTION - 10)
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    (length, _), _ = cv2.getTextSize(caption, font, 1, 1)
    size = min(0.7, (shown.shape[1] - BORDER) / max(length, 1))
    cv2.putText(picture, caption, place, font, size, white, 1, cv2.LINE_AA)
    return picture
