"""Any file a knee may come in, and the knees an image shows."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, InputError, missing_raises
from knee_attention.files import files_below
from knee_attention.films.file_kinds import START, begins_as_dicom, image_kind, read_start
from knee_attention.films.image_files import (
    check_regular,
    is_image_file,
    is_picture,
    read_pixel_aspect,
    read_radiograph,
)
from knee_attention.films.names import side_of

PRODUCT = "knee_attention"
"""Manufacturer and model name of every DICOM object made here; its own are known by them."""

REPORT_SUFFIXES = ("_sr.dcm", "_sc.dcm")
"""Of the structured report and the Secondary Capture Image that `grade --dicom` writes."""

HEADER_BYTES = 2**14
"""In so many a DICOM file names its equipment."""


@dataclass(frozen=True)
class FileInMemory:
    """A file that was received and lies on no disk.

    Attributes:
        name: what its sender calls it; nothing is read from there.
        content: its bytes.
    """

    name: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OpenedFilm:
    """An image as it was read.

    Attributes:
        pixels: `(height, width)` uint8 or uint16, bone bright; the pixels are square.
        side: the side it shows, if it shows one: R or L as a DICOM header says it, else as the
            file's name does, else None.
        pixel_aspect: height over width of the file's own pixels, 1.0 where they are square.
    """

    pixels: np.ndarray = field(repr=False)
    side: str | None
    pixel_aspect: float = 1.0


def open_image(image: str | os.PathLike | FileInMemory) -> tuple[np.ndarray, str | None]:
    """The pixels and the side of the film that `open_film` reads."""
    film = open_film(image)
    return film.pixels, film.side


def open_film(image: str | os.PathLike | FileInMemory) -> OpenedFilm:
    """Read an image file or a DICOM radiograph, known by its content.

    Raises:
        ImageError: missing, damaged, too large, no image, or no radiograph.
    """
    in_memory = isinstance(image, FileInMemory)
    path, content = (Path(image.name), image.content) if in_memory else (Path(image), None)
    if not in_memory:
        check_regular(path)
    if not (begins_as_dicom(content[:START]) if in_memory else is_dicom(path)):
        pixels, aspect = read_radiograph(path, content), read_pixel_aspect(path, content)
        return OpenedFilm(pixels, side_of(path), aspect)
    reason = 'a DICOM file needs pydicom: pip install "knee_attention[dicom]"'
    with missing_raises(ImageError(path, reason), "pydicom"):
        from knee_attention.films.dicom.header import read_header
        from knee_attention.films.dicom.pixels import read_film

        header = read_header(path, content)
        pixels = read_film(path, content)
        return OpenedFilm(pixels, header.side or side_of(path), header.pixel_aspect)


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, with or without a preamble."""
    return begins_as_dicom(read_start(path))


def is_own_report(path: Path) -> bool:
    """Whether a DICOM file is one that `grade --dicom` made, by its name and its header."""
    return path.name.endswith(REPORT_SUFFIXES) and (
        PRODUCT.encode() in read_start(path, HEADER_BYTES)
    )


def files_to_open(given: Iterable[str | os.PathLike]) -> list[Path]:
    """The files to open: those named, and of folders what looks like an image, whether it can be
    read or not: opening it tells.

    Pictures and reports that were made of knees earlier and lie in a folder are passed over.

    Raises:
        InputError: an empty name, or no image in a folder.
    """
    files = []
    for name in given:
        if not os.fspath(name):
            raise InputError("expected a file or a folder. Received: an empty name")
        place = Path(name)
        if not os.path.isdir(place):  # of a place that may not be looked at it does not fail
            files.append(place)
            continue
        found = [
            path for path in files_below(place)
            if (is_image_file(path) or image_kind(path))
            and not (is_picture(path) or is_own_report(path))
        ]  # fmt: skip
        if not found:
            raise InputError(f"{place}: no images in this folder")
        files += found
    return files
