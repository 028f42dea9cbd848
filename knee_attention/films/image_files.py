"""Image files: read as grey arrays whatever their format, written whole or not at all."""

import mmap
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from knee_attention.errors import ImageError
from knee_attention.files import written_whole
from knee_attention.films import jpeg, tiff
from knee_attention.films.grey import to_grey
from knee_attention.films.image_headers import (
    is_known,
    is_truncated,
    pixels_declared,
    white_is_zero,
)
from knee_attention.films.pixel_aspect import aspect_of_file, square_pixels

ANY_DEPTH_AND_COLOUR = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
"""As the file stores it, but turned the way its Exif orientation says."""

PICTURE = b"knee_attention: a picture to look at"
"""Stands in the first bytes of every picture that is drawn from knees, so that none is taken for a
radiograph where pictures and radiographs lie together."""

MOST_PIXELS = 100_000_000
"""Of an image that is read. A stitched film of both legs has a third of them; a file of 100 kB may
say that it has 900 million, and decoding it would take a gigabyte of memory."""

LONGEST_NAME = 255
"""Bytes that a file system allows for a file's name."""

IMAGE_SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".tif", ".tiff", ".bmp", ".dib",
})  # fmt: skip
"""Of the files of a folder that are read as images; what a file holds is told by its content."""


def is_image_file(path: Path) -> bool:
    """Whether the name ends like an image's; hidden files are no images."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def is_picture(path: Path) -> bool:
    """Whether an image was drawn of knees, to be looked at, by `writing.write_picture`."""
    if not path.is_file():  # opening a pipe would wait for a writer
        return False
    try:
        with path.open("rb") as file:
            return PICTURE in file.read(128)
    except OSError:
        return False


def read_radiograph(path: str | os.PathLike, content: bytes | None = None) -> np.ndarray:
    """Read an image file as `read_image` does, unless it is a picture drawn of knees.

    Raises:
        ImageError: such a picture, or a file that `read_image` refuses.
    """
    path = Path(path)
    if is_picture(path) if content is None else PICTURE in content[:128]:
        raise ImageError(path, "a picture drawn to be looked at, no radiograph")
    return read_image(path, content)


def read_image(path: str | os.PathLike, content: bytes | None = None) -> np.ndarray:
    """Read one image file as grey values.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file; grey, colour, palette or with transparency.
        content: the file's bytes where they are in memory; `path` is then no more than its name.

    Returns:
        `(height, width)` array, uint8 or uint16, or as a TIFF file stores it otherwise, the way up
        that the file says and bright where it says white. Colour becomes luminance; transparency is
        dropped. Pixels that the file says are not square are resampled to square ones.

    Raises:
        ImageError: the file is missing, empty, truncated, too large, no image, or several.
    """
    path = Path(path)
    content = _mapped(path) if content is None else content
    if not content:
        raise ImageError(path, "the file is empty")
    if not is_known(content):
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
        raise ImageError(path, "several pages or frames, where one image is expected")
    grey = to_grey(pages[0])
    if np.issubdtype(grey.dtype, np.floating) and not np.isfinite(grey).all():
        raise ImageError(path, "it holds NaN or infinity")
    # OpenCV turns WhiteIsZero itself where the file has 8 bits or fewer, and no others.
    grey = _turned(grey) if grey.dtype != np.uint8 and white_is_zero(content) else grey
    return square_pixels(grey, aspect)


def read_pixel_aspect(path: str | os.PathLike, content: bytes | None = None) -> float:
    """Height over width of the pixels of an image file, which `read_image` makes square.

    Args:
        path: as `read_image` takes it.
        content: the same.

    Returns:
        The ratio; 1.0 for square pixels, and where the file states none that a film has.

    Raises:
        ImageError: the file is missing or empty.
    """
    return aspect_of_file(_mapped(Path(path)) if content is None else content)


def _decoded_pages(path: Path, content: bytes | mmap.mmap) -> Sequence[np.ndarray]:
    """The first two pages of an image file, or none if OpenCV cannot decode it."""
    try:
        if content[:2] == b"\xff\xd8":
            return [jpeg.decode(content)]
        if content[:2] in (b"II", b"MM"):
            tiff.check_packed(content)
        content_bytes = np.frombuffer(content, np.uint8)
        return cv2.imdecodemulti(content_bytes, ANY_DEPTH_AND_COLOUR, range=(0, 2))[1]
    except ValueError:
        raise ImageError(path, "its compressed data are damaged or truncated") from None
    except cv2.error:
        return ()


def _mapped(path: Path) -> mmap.mmap:
    """The bytes of a file without a copy: films are large, and copying them takes time."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ImageError(path, error.strerror or "cannot be opened", passing=True) from None
    except ValueError:  # nothing can be mapped
        raise ImageError(path, "the file is empty") from None


def check_regular(path: Path) -> None:
    """Refuse what is there and no file: a pipe, of which one would wait for ever, or a device.

    Raises:
        ImageError: it is no regular file, or the system does not say.
    """
    try:
        regular = path.is_file() or not path.exists()
    except OSError as error:  # a name too long, or a folder that may not be looked into
        raise ImageError(path, error.strerror or "cannot be opened", passing=True) from None
    if not regular:
        raise ImageError(path, "no regular file")


def check_pixels(path: Path, pixels: int) -> None:
    """Refuse an image that is too large to be a film, before it is decoded.

    Raises:
        ImageError: it has more than `MOST_PIXELS`.
    """
    if pixels > MOST_PIXELS:
        raise ImageError(path, f"{pixels / 1e6:.0f} million pixels, more than the "
                         f"{MOST_PIXELS / 1e6:.0f} million of the largest film that is read")


def _turned(grey: np.ndarray) -> np.ndarray:
    """Dark for bright, in any type."""
    return ~grey if np.issubdtype(grey.dtype, np.integer) else -grey


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
    _write(path, encoded_picture(image, path.suffix))


def encoded_picture(image: np.ndarray, suffix: str = ".png") -> bytes:
    """The bytes of an image to look at, as `write_picture` writes them."""
    content = cv2.imencode(suffix, image)[1].tobytes()
    if content.startswith(b"\x89PNG"):  # a text chunk after the header, PNG 11.3.3.2
        text = b"tEXtComment\0" + PICTURE
        mark = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
        start = 33
    else:  # a comment segment after the start of image, ISO 10918-1 B.2.4.5
        mark, start = b"\xff\xfe" + (len(PICTURE) + 2).to_bytes(2, "big") + PICTURE, 2
    return content[:start] + mark + content[start:]


def _write(path: Path, content: bytes) -> None:
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ImageError(path, "its name is too long")
    with written_whole(path) as beside:
        beside.write_bytes(content)
