"""Reading image files as grey arrays, and writing them atomically."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from knee_attention.errors import ImageError
from knee_attention.files import written_whole
from knee_attention.films import compression, jpeg
from knee_attention.films.file_kinds import DICOM, READ, START, kind_of, why_unread
from knee_attention.films.image_headers import (
    is_known,
    is_truncated,
    pixels_declared,
    white_is_zero,
)
from knee_attention.films.pixel_aspect import aspect_of_file, square_pixels
from knee_attention.films.radiograph import to_grey

ANY_DEPTH_AND_COLOUR = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
"""Keep bit depth and colour as stored; OpenCV applies the Exif orientation."""

PICTURE = b"knee_attention: a picture to look at"
"""A mark in the first bytes of every picture that this package draws. It keeps such a picture from
being read as a radiograph."""

MOST_PIXELS = 100_000_000
"""The largest number of pixels of an image. A stitched film of both legs has a third of it. A file
of 100 kB can declare 900 million, and decoding it would take a gigabyte of memory."""

MOST_BYTES = 16 * MOST_PIXELS
"""The largest size of an image file in bytes."""

LONGEST_NAME = 255
"""The longest file name in bytes that file systems allow."""

IMAGE_SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".tif", ".tiff", ".bmp", ".dib",
})  # fmt: skip
"""Suffixes of the files in a folder that are read as images. The format is recognised by content.
"""


def is_image_file(path: Path) -> bool:
    """Whether a name has an image suffix and is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def is_picture(path: Path) -> bool:
    """Whether `write_picture` wrote this file."""
    if not path.is_file():  # opening a pipe would wait for a writer
        return False
    try:
        with path.open("rb") as file:
            return PICTURE in file.read(128)
    except OSError:
        return False


def refuse_other_file(path: Path) -> None:
    """Refuse a file whose name is not that of an image to read.

    Raises:
        ImageError: its suffix is missing or is another one, or the file is hidden.
    """
    if not is_image_file(path):
        reason = why_unread(path) or f"not an image file ({path.suffix or 'no suffix'})"
        raise ImageError(path, reason)


def read_radiograph(
    path: str | os.PathLike, content: bytes | None = None
) -> tuple[np.ndarray, float]:
    """Read an image file as `read_image` does, but refuse pictures that this package drew.

    Args:
        path: as for `read_image`.
        content: as for `read_image`.

    Returns:
        The result of `read_image`; and height over width of the file's pixels, before they are
        resampled to squares. The ratio is 1.0 if the file states no plausible one.

    Raises:
        ImageError: `write_picture` wrote the file, or `read_image` refuses it.
    """
    path = Path(path)
    if is_picture(path) if content is None else PICTURE in content[:128]:
        raise ImageError(path, "a picture that knee_attention drew, not a radiograph")
    return _read(path, content)


def read_image(path: str | os.PathLike, content: bytes | None = None) -> np.ndarray:
    """Read one image file as grey values.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file; grey, colour, palette or with transparency.
        content: the file's bytes, if they are in memory; `path` is then only its name.

    Returns:
        `(height, width)` array: uint8, uint16, or another type that a TIFF file stores. The Exif
        orientation is applied, WhiteIsZero is inverted, colour becomes luminance, transparency is
        dropped. Pixels that are not square are resampled to square ones; those of WebP and BMP
        files count as square.

    Raises:
        ImageError: the file is missing, empty, truncated, too large, not an image, or has several
            pages.
    """
    return _read(Path(path), content)[0]


def _read(path: Path, content: bytes | None) -> tuple[np.ndarray, float]:
    """The results of `read_radiograph`."""
    content = _content(path) if content is None else content
    if not content:
        raise ImageError(path, "the file is empty")
    if not is_known(content):
        kind = kind_of(content[:START], path.suffix)
        if kind and kind not in {*READ, DICOM}:
            raise ImageError(path, f"a {kind} image, which cannot be read; save it as PNG or JPEG")
        raise ImageError(path, "not an image, or a damaged one")
    pixels = pixels_declared(content)
    aspect = aspect_of_file(content)
    check_pixels(path, round(pixels * max(aspect, 1 / aspect)))
    if is_truncated(content):
        raise ImageError(path, "the image is truncated")
    if not pixels:
        raise ImageError(path, "not an image, or a damaged one")
    pages = _decoded_pages(path, content)
    if not pages:
        raise ImageError(path, "not an image, or a damaged one")
    if len(pages) > 1:
        raise ImageError(path, "expected one image, but it has several pages or frames")
    grey = to_grey(pages[0])
    if np.issubdtype(grey.dtype, np.floating) and not np.isfinite(grey).all():
        raise ImageError(path, "it holds NaN or infinity")
    # OpenCV inverts WhiteIsZero itself, but only up to 8 bits.
    grey = _inverted(grey) if grey.dtype != np.uint8 and white_is_zero(content) else grey
    return square_pixels(grey, aspect), aspect


def _decoded_pages(path: Path, content: bytes) -> Sequence[np.ndarray]:
    """The first two pages of an image file; empty if OpenCV cannot decode it."""
    try:
        if content[:2] == b"\xff\xd8":
            return [jpeg.decode(content)]
        if content[:2] in (b"II", b"MM"):
            compression.check_packed(content)
        content_bytes = np.frombuffer(content, np.uint8)
        return cv2.imdecodemulti(content_bytes, ANY_DEPTH_AND_COLOUR, range=(0, 2))[1]
    except ValueError:
        raise ImageError(path, "its compressed data are damaged or truncated") from None
    except cv2.error:
        return ()


def _content(path: Path) -> bytes:
    """The bytes of a file. A memory map would end the process if the disk fails while it is read.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise ImageError(path, "larger than any film")
            return file.read()
    except OSError as error:
        raise ImageError(path, error.strerror or "cannot be opened", temporary=True) from None


def check_regular(path: Path) -> None:
    """Refuse a path that exists and is not a regular file; reading a pipe would block.

    Raises:
        ImageError: it is not a regular file, or the system cannot tell.
    """
    try:
        regular = path.is_file() or not path.exists()
    except OSError as error:  # the name is too long, or its folder may not be read
        raise ImageError(path, error.strerror or "cannot be opened", temporary=True) from None
    if not regular:
        raise ImageError(path, "not a regular file")


def check_pixels(path: Path, pixels: int) -> None:
    """Refuse an image that is too large to be a film, before it is decoded.

    Raises:
        ImageError: it has more than `MOST_PIXELS`.
    """
    if pixels > MOST_PIXELS:
        raise ImageError(path, f"{pixels / 1e6:.0f} million pixels, more than the "
                         f"{MOST_PIXELS / 1e6:.0f} million that are allowed")


def _inverted(grey: np.ndarray) -> np.ndarray:
    """The negative of an image of any numeric dtype."""
    return ~grey if np.issubdtype(grey.dtype, np.integer) else -grey


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format that its suffix names.

    Args:
        path: the file; its folder is created.
        image: `(height, width)` or `(height, width, 3)`, uint8 or uint16.

    Raises:
        ImageError: the file's name is too long.
        InputError: the file cannot be written.
    """
    _write(path, cv2.imencode(path.suffix, image)[1].tobytes())


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write a picture, marked so that it is never read as a radiograph.

    Args:
        path: a `.png` or `.jpg` file; its folder is created.
        image: `(height, width)` or `(height, width, 3)`, uint8.

    Raises:
        InputError: the file cannot be written there.
    """
    _write(path, encoded_picture(image, path.suffix))


def encoded_picture(image: np.ndarray, suffix: str = ".png") -> bytes:
    """The bytes that `write_picture` writes for an image.

    Args:
        image: `(height, width)` or `(height, width, 3)`, uint8.
        suffix: `.png` or `.jpg`.
    """
    content = cv2.imencode(suffix, image)[1].tobytes()
    if content.startswith(b"\x89PNG"):  # a text chunk after the header (PNG 11.3.3.2)
        text = b"tEXtComment\0" + PICTURE
        mark = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
        start = 33
    else:  # a comment segment after the start of image (ISO 10918-1 B.2.4.5)
        mark, start = b"\xff\xfe" + (len(PICTURE) + 2).to_bytes(2, "big") + PICTURE, 2
    return content[:start] + mark + content[start:]


def _write(path: Path, content: bytes) -> None:
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ImageError(path, "the file's name is too long")
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
