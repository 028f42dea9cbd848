"""Conversion of images with any number of channels to grey."""

import cv2
import numpy as np

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
