"""Opening a film from an image file, a DICOM file or memory."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, InputError, how_to_install, missing_raises
from knee_attention.files import files_below
from knee_attention.films.file_kinds import START, begins_as_dicom, image_kind, read_start
from knee_attention.films.image_files import (
    check_regular,
    is_image_file,
    is_picture,
    read_radiograph,
)
from knee_attention.films.legs import side_of

PRODUCT = "knee_attention"
"""Manufacturer and model name in every DICOM object that this package writes. It recognises its own
objects by them."""

REPORT_SUFFIXES = ("_sr.dcm", "_sc.dcm", "_pm.dcm")
"""Endings of the structured reports, Secondary Capture Images and Parametric Maps that
`grade --dicom` writes."""

HEADER_BYTES = 2**14
"""A DICOM file names its equipment within this number of bytes."""


@dataclass(frozen=True)
class FileInMemory:
    """A file that exists only in memory, such as an upload.

    Attributes:
        name: the file's name, for messages and for the side; nothing is read from disk.
        content: the file's bytes.
    """

    name: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OpenedFilm:
    """The pixels of a film and what its file says about it.

    Attributes:
        pixels: `(height, width)`, uint8 or uint16 (or as a TIFF file stores it); square pixels. A
            DICOM file's MONOCHROME1 is inverted; other negatives are not.
        side: `"R"` or `"L"` by the DICOM header, else by the file's name; None if unknown.
        pixel_aspect: height over width of the file's own pixels; 1.0 if they are square.
        other_view: the element of a DICOM header that states a lateral or axial view; blank if none
            does.
    """

    pixels: np.ndarray = field(repr=False)
    side: str | None
    pixel_aspect: float = 1.0
    other_view: str = ""


def open_film(image: str | os.PathLike | FileInMemory) -> OpenedFilm:
    """Read an image file or a DICOM radiograph; the format is recognised by content.

    Raises:
        ImageError: the file is missing, damaged, too large, not an image, or not a radiograph.
    """
    in_memory = isinstance(image, FileInMemory)
    path, content = (Path(image.name), image.content) if in_memory else (Path(image), None)
    if not in_memory:
        check_regular(path)
    if not (begins_as_dicom(content[:START]) if in_memory else is_dicom(path)):
        pixels, aspect = read_radiograph(path, content)
        return OpenedFilm(pixels, side_of(path), aspect)
    reason = f"a DICOM file needs pydicom: {how_to_install('dicom')}"
    with missing_raises(ImageError(path, reason), "pydicom"):
        from knee_attention.films.dicom.header import read_header
        from knee_attention.films.dicom.pixels import read_film

        header = read_header(path, content)
        pixels = read_film(path, content)
        side = header.side or side_of(path)
        return OpenedFilm(pixels, side, header.pixel_aspect, header.other_view)


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM file by its first bytes, with or without a preamble."""
    return begins_as_dicom(read_start(path))


def is_own_report(path: Path) -> bool:
    """Whether `grade --dicom` wrote a DICOM file, by its name and its header."""
    return path.name.endswith(REPORT_SUFFIXES) and (
        PRODUCT.encode() in read_start(path, HEADER_BYTES)
    )


def files_to_open(given: Iterable[str | os.PathLike]) -> list[Path]:
    """List the files to open: each file named, and every image in each folder named.

    In a folder everything that looks like an image counts, readable or not. Pictures and reports
    that this package wrote are skipped.

    Args:
        given: names of files and folders.

    Raises:
        InputError: a name is empty, or a folder holds no image.
    """
    files = []
    for name in given:
        if not os.fspath(name):
            raise InputError("expected a file or a folder. Received: an empty name")
        place = Path(name)
        if not os.path.isdir(place):  # Path.is_dir raises where permission is denied
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
