"""The image format of a file, recognised by its first bytes or its suffix before it is read."""

import re
import struct
from collections.abc import Iterator
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

IDENTIFIERS = frozenset({0x00020002, 0x00020003, 0x00020010, 0x00080016, 0x00080018})
"""DICOM elements with SOP class, SOP instance or transfer syntax. Every file has one of them."""

UID = re.compile(rb"[0-2](\.\d+)+[\0 ]*")
"""A DICOM identifier (PS3.5 9.1)."""

LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR",
                  b"UT", b"UV"})  # fmt: skip
SHORT = frozenset({b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO",
                   b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"})
"""DICOM value representations whose length field has four bytes (`LONG`) or two (PS3.5 7.1.2)."""


def begins_as_dicom(start: bytes) -> bool:
    """Whether a file is a DICOM file.

    It begins with 128 bytes and DICM (PS3.10 section 7.1), or directly with a little endian data
    set, as older archives write it.

    Args:
        start: the file's first `START` bytes.
    """
    return start[128:132] == b"DICM" or _is_data_set(start)


def _is_data_set(start: bytes) -> bool:
    """Whether bytes begin with elements of group 0002 or 0008, in rising order, up to a UID that
    identifies the object. No other format does."""
    group = start[:2]
    encodings = {b"\x02\0": (True,), b"\x08\0": (True, False)}.get(group, ())
    for explicit in encodings:
        before = -1
        for tag, kind, value in _elements(start, explicit):
            if tag <= before or tag >> 16 not in (0x0002, 0x0008):
                break
            if tag in IDENTIFIERS:
                return kind in (b"UI", None) and bool(UID.fullmatch(value))
            before = tag
    return False


def _elements(start: bytes, explicit: bool) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Yield tag, value representation (None if implicit) and value of each element in `start`."""
    place = 0
    try:
        while True:
            group, element = struct.unpack_from("<HH", start, place)
            kind, form, header = None, "<I", 4
            if explicit:
                kind = start[place + 4 : place + 6]
                if kind not in LONG | SHORT:
                    return
                form, header = ("<I", 8) if kind in LONG else ("<H", 6)
            (length,) = struct.unpack_from(form, start, place + header)
            place += header + struct.calcsize(form)
            yield group << 16 | element, kind, start[place : place + length]
            place += length
    except struct.error:  # `start` ends here
        return


def image_kind(path: Path) -> str | None:
    """The image format of a file by its first bytes, else by its suffix.

    Returns:
        The format's name; None if the file does not look like an image or cannot be opened.
    """
    start = read_start(path)
    if begins_as_dicom(start):
        return DICOM
    for kind, place, signature in SIGNATURES:
        if start.startswith(signature, place):
            return kind
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in BMP_HEADERS:
        return "BMP"
    if PORTABLE_MAP.match(start):
        return "portable map"
    suffix = path.suffix.lower()
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
