"""Pictures of single knees, drawn with OpenCV alone because they must be quick."""

import cv2
import numpy as np

from knee_attention.evidence.attention_maps import overlay

HEIGHT = 480
"""Of a knee in a picture, in pixels: small inputs are enlarged."""

BORDER, CAPTION = 8, 36


def captioned(image: np.ndarray, mask: np.ndarray, caption: str) -> np.ndarray:
    """A knee, beside it the same with a mask laid over it, and a line of text beneath.

    Args:
        image: `(height, width)` uint8.
        mask: `(h, w)` float, of any resolution.
        caption: ASCII text.

    Returns:
        `(HEIGHT + 52, width, 3)` uint8, blue, green, red.
    """
    width = round(image.shape[1] * HEIGHT / image.shape[0])
    enlarged = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    pair = np.hstack([cv2.cvtColor(enlarged, cv2.COLOR_GRAY2BGR), overlay(enlarged, mask)])
    picture = cv2.copyMakeBorder(
        pair, BORDER, CAPTION + BORDER, BORDER, BORDER, cv2.BORDER_CONSTANT
    )
    place = (BORDER, BORDER + HEIGHT + CAPTION - 10)
    white = (255, 255, 255)
    cv2.putText(picture, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, white, 1, cv2.LINE_AA)
    return picture
