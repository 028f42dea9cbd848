"""Image files that appear whole or not at all."""

import errno
from pathlib import Path

import cv2
import numpy as np

from knee_attention.errors import ImageError, InputError
from knee_attention.files import written_whole


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format its suffix names.

    Args:
        path: the file; its folder is made.
        image: `(height, width)` or `(height, width, 3)`, uint8 or uint16.

    Raises:
        ImageError: the file's name is too long.
        InputError: no file can be written there.
    """
    _, content = cv2.imencode(path.suffix, image)
    try:
        with written_whole(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageError(path, "its name is too long") from None
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
