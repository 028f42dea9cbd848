"""Pictures of single knees and films, drawn with OpenCV, which is faster than Matplotlib."""

from collections.abc import Sequence

import cv2
import numpy as np

HEIGHT = 480
"""Height of a knee or film in a picture, in pixels."""

BORDER, CAPTION, SCALE = 8, 36, 28
"""Heights in pixels of the border, of the caption, and of the colour bar below a mask."""

FONT, SMALL, WHITE = cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255)

FOUND, TRUE = (255, 209, 79), (90, 220, 90)
"""Colours of found and true boxes: blue, green, red."""

OPACITY = 0.6
"""Opacity of a mask over a film where the mask is highest; it falls to 0 where the mask is lowest.
The page starts with the same opacity."""

FLAT = 1.2
"""A mask is nearly flat if its largest value is below this multiple of its smallest. Its colours
then show differences that hardly change the result."""


def at_image_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask, bilinearly resized to `size` (height, width)."""
    return cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def is_flat(mask: np.ndarray) -> bool:
    """Whether a mask is nearly uniform, see `FLAT`."""
    return bool(mask.max() < FLAT * mask.min())


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
    """A film with a mask as overlay, in the colours of `mask_colours`, up to `OPACITY`.

    Args:
        image: `(height, width)` uint8.
        mask: `(h, w)` float, of any resolution.

    Returns:
        `(height, width, 3)` uint8, blue, green, red. Where the mask is lowest, it shows the film.
    """
    film = image[..., np.newaxis].astype(np.float32)
    colours = mask_colours(mask, image.shape).astype(np.float32)
    opacity = OPACITY * colours[..., 3:] / 255
    return np.round(film + opacity * (colours[..., :3] - film)).astype(np.uint8)


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
        cv2.putText(picture, caption, (6, HEIGHT + 17), FONT, 0.45, WHITE, 1, cv2.LINE_AA)
    return picture


def beside_masks(image: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """A knee, and next to it the knee with each mask as overlay above the mask's colour bar.

    Args:
        image: `(height, width)` uint8.
        masks: `{branch: (h, w)}` float, of any resolution.

    Returns:
        `(HEIGHT + SCALE, width, 3)` uint8, blue, green, red.
    """
    width = round(image.shape[1] * HEIGHT / image.shape[0])
    enlarged = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    knee = cv2.cvtColor(enlarged, cv2.COLOR_GRAY2BGR)
    panels = [cv2.copyMakeBorder(knee, 0, SCALE, 0, 0, cv2.BORDER_CONSTANT)]
    for branch, mask in masks.items():
        panels.append(np.vstack([overlay(enlarged, mask), _colour_bar(branch, mask, width)]))
    return np.hstack(panels)


def _colour_bar(branch: str, mask: np.ndarray, width: int) -> np.ndarray:
    """The colours of a mask between its lowest and highest value, `(SCALE, width, 3)` uint8."""
    bar = np.zeros((SCALE, width, 3), np.uint8)
    low, high = f"{mask.min():.2f}", f"{mask.max():.2f}"
    end = _write(bar, f"{branch}{' (nearly flat)' if is_flat(mask) else ''}:  {low}", BORDER)
    start, end = end + BORDER, width - BORDER - _length(high) - BORDER
    if end > start:
        shades = np.linspace(0, 255, end - start).astype(np.uint8)[np.newaxis]
        bar[8 : SCALE - 8, start:end] = cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO)
    _write(bar, high, end + BORDER)
    return bar


def _length(text: str) -> int:
    return cv2.getTextSize(text, FONT, SMALL, 1)[0][0]


def _write(picture: np.ndarray, text: str, left: int) -> int:
    """Write small text at the bottom of a picture; the column where the text ends."""
    cv2.putText(picture, text, (left, len(picture) - 9), FONT, SMALL, WHITE, 1, cv2.LINE_AA)
    return left + _length(text)


def captioned(image: np.ndarray, masks: dict[str, np.ndarray], caption: str) -> np.ndarray:
    """The picture of `beside_masks` with a caption below.

    Args:
        image: `(height, width)` uint8.
        masks: `{branch: (h, w)}` float, of any resolution; empty for only the knee.
        caption: ASCII text.

    Returns:
        `(HEIGHT + SCALE + 52, width, 3)` uint8, blue, green, red.
    """
    shown = beside_masks(image, masks)
    picture = cv2.copyMakeBorder(
        shown, BORDER, CAPTION + BORDER, BORDER, BORDER, cv2.BORDER_CONSTANT
    )
    place = (BORDER, BORDER + len(shown) + CAPTION - 10)
    (length, _), _ = cv2.getTextSize(caption, FONT, 1, 1)
    size = min(0.7, (shown.shape[1] - BORDER) / max(length, 1))
    cv2.putText(picture, caption, place, FONT, size, WHITE, 1, cv2.LINE_AA)
    return picture
