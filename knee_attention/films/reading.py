"""Image files as grey arrays, whatever their format, depth and colour."""

import os
from pathlib import Path

import cv2
import numpy as np

from knee_attention.errors import ImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})


def is_image_file(path: Path) -> bool:
    """Whether the name ends like an image's; hidden files are no images."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read one image file as grey values.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file; grey, colour, palette or with transparency.

    Returns:
        `(height, width)` array, uint8 or uint16 as the file stores it. Colour becomes luminance;
        transparency is dropped.

    Raises:
        ImageError: the file is missing, empty, truncated or no image.
    """
    path = Path(path)
    if path.is_fifo():  # opening one waits for a writer, for ever
        raise ImageError(path, "a pipe, not an image")
    try:
        content = np.memmap(path, np.uint8, "r")  # films are large, and copying them takes time
    except OSError as error:
        raise ImageError(path, error.strerror or "cannot be opened") from None
    except ValueError:  # nothing can be mapped
        raise ImageError(path, "the file is empty") from None
    if _is_truncated(content):
        raise ImageError(path, "the image is truncated")
    try:
        image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(path, "not an image, or a damaged one")
    return to_grey(image)


def _is_truncated(content: np.ndarray) -> bool:
    """OpenCV decodes a truncated PNG or JPEG to a half-grey image without a word."""
    start, end = content[:4].tobytes(), content[-4096:].tobytes()
    if start == b"\x89PNG":
        return b"IEND\xaeB`\x82" not in end
    if start[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in end
    return False


def to_grey(image: np.ndarray) -> np.ndarray:
    """The luminance of an image as OpenCV orders its channels (blue, green, red, alpha).

    Args:
        image: `(height, width)` or `(height, width, 1 | 2 | 3 | 4)`, any numeric dtype.

    Returns:
        `(height, width)`, of the same dtype.

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
        return cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)
    raise ValueError(f"expected an image (height, width[, channels]). Received: {image.shape}")
