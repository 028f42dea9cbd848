"""Image files that appear whole or not at all."""

from pathlib import Path

import cv2
import numpy as np

from knee_attention.files import written_whole


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format its suffix names.

    Args:
        path: the file; its folder is made.
        image: `(height, width)` or `(height, width, 3)`, uint8 or uint16.

    Raises:
        InputError: the file cannot be written there.
    """
    _, content = cv2.imencode(path.suffix, image)
    with written_whole(path) as beside:
        beside.write_bytes(content)
