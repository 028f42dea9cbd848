"""The image format of a file, recognised by its first bytes or its suffix before it is read."""

import re
from pathlib import Path

START = 2**10
"""Number of bytes at the start of a file that are enough to recognise its format."""

DICOM = "DICOM"

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})

OTHER_SUFFIXES = frozenset({
    ".gif", ".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".jpc", ".jls", ".jxl", ".heic", ".heif",
    ".avif", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm", ".exr", ".psd", ".tga", ".pcx",
    ".apng", ".dng", ".nii", ".mha", ".mhd", ".nrrd",
})  # fmt: skip
"""Suffixes of image formats that this package does not read."""

SIGNATURES = (
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"), ("JPEG", 0, b"\xff\xd8\xff"), ("WebP", 8, b"WEBPVP8"),
    ("TIFF", 0, b"II*\0"), ("TIFF", 0, b"MM\0*"), ("TIFF", 0, b"II+\0"), ("TIFF", 0, b"MM\0+"),
    ("GIF", 0, b"GIF8"), ("JPEG 2000", 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"), ("JPEG XL", 0, b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("HEIF", 4, b"ftyphei"), ("HEIF", 4, b"ftypmif1"), ("AVIF", 4, b"ftypavif"),
    ("Photoshop", 0, b"8BPS"), ("OpenEXR", 0, b"v/1\x01"), ("NRRD", 0, b"NRRD000"),
)  # fmt: skip
"""For each format the offset and the value of the bytes that identify it."""

READ = frozenset({"PNG", "JPEG", "WebP", "TIFF", "BMP"})
"""Formats that this package reads, besides DICOM."""

BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Lengths in bytes of the header that follows the 14-byte file header of a BMP file."""

PORTABLE_MAP = re.compile(rb"P[1-7]\s+[\d#W]")
"""The start of a PBM, PGM, PPM or PAM file."""

UID_ELEMENT = re.compile(
    rb"(?:\x02\0[\x02\x03\x10]\0|\x08\0[\x16\x18]\0)(?:UI..|..\0\0)[0-2](?:\.\d+)+", re.DOTALL
)
"""A DICOM element with SOP class, SOP instance or transfer syntax, with explicit or implicit VR
(PS3.5 7.1). Every file has one of them."""


def begins_as_dicom(start: bytes) -> bool:
    """Whether a file is a DICOM file.

    It begins with 128 bytes and DICM (PS3.10 section 7.1), or directly with a little endian data
    set, as older archives write it.

    Args:
        start: the file's first `START` bytes.
    """
    headless = start[:2] in (b"\x02\0", b"\x08\0") and UID_ELEMENT.search(start)
    return start[128:132] == b"DICM" or bool(headless)


def image_kind(path: Path) -> str | None:
    """The image format of a file by its first bytes, else by its suffix.

    Returns:
        The format's name; None if the file does not look like an image or cannot be opened.
    """
    return kind_of(read_start(path), path.suffix)


def kind_of(start: bytes, suffix: str) -> str | None:
    """As `image_kind`, of a file's first `START` bytes and the suffix of its name."""
    if begins_as_dicom(start):
        return DICOM
    for kind, place, signature in SIGNATURES:
        if start.startswith(signature, place):
            return kind
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in BMP_HEADERS:
        return "BMP"
    if PORTABLE_MAP.match(start):
        return "portable map"
    suffix = suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return DICOM
    return suffix[1:].upper() if suffix in OTHER_SUFFIXES else None


def why_unread(path: Path) -> str | None:
    """Why a file without the suffix of a readable image is not read.

    Returns:
        The reason; None if the file does not look like an image.
    """
    kind = image_kind(path)
    if kind == DICOM:
        return "a DICOM file; convert it with data_prep/dicom_to_png.py"
    if kind in READ:
        return f"a {kind} image whose suffix is missing or wrong; rename it"
    return f"a {kind} image; this format is not supported" if kind else None


def read_start(path: Path, count: int = START) -> bytes:
    """The first bytes of a file; empty if it is not a regular file or cannot be opened."""
    try:
        if not path.is_file():  # reading a pipe would block
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""
