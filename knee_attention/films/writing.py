"""Image files that appear whole or not at all."""

import os
import zlib
from pathlib import Path

import cv2
import numpy as np

from knee_attention.errors import ImageError
from knee_attention.files import written_whole
from knee_attention.films.reading import PICTURE

LONGEST_NAME = 255
"""Bytes that a file system allows for a file's name."""


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format its suffix names.

    Args:
        path: the file; its folder is made.
        image: `(height, width)` or `(height, width, 3)`, uint8 or uint16.

    Raises:
        ImageError: the file's name is too long.
        InputError: no file can be written there.
    """
    _write(path, cv2.imencode(path.suffix, image)[1].tobytes())


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write an image to look at, marked so that it is never taken for a radiograph.

    Args:
        path: a `.png` or `.jpg` file; its folder is made.
        image: `(height, width)` or `(height, width, 3)`, uint8.

    Raises:
        InputError: the file cannot be written there.
    """
    content = cv2.imencode(path.suffix, image)[1].tobytes()
    if content.startswith(b"\x89PNG"):  # a text chunk after the header, PNG 11.3.3.2
        text = b"tEXtComment\0" + PICTURE
        mark = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
        start = 33
    else:  # a comment segment after the start of image, ISO 10918-1 B.2.4.5
        mark, start = b"\xff\xfe" + (len(PICTURE) + 2).to_bytes(2, "big") + PICTURE, 2
    _write(path, content[:start] + mark + content[start:])


def _write(path: Path, content: bytes) -> None:
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ImageError(path, "its name is too long")
    with written_whole(path) as beside:
        beside.write_bytes(content)
