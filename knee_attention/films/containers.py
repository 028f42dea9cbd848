"""What the structure of an image file says, where OpenCV decodes without a word."""

import mmap
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

PHOTOMETRIC_INTERPRETATION = 262
"""TIFF 6.0, section 8: the tag whose value 0 is WhiteIsZero."""

IMAGE_WIDTH, IMAGE_LENGTH = 256, 257
"""TIFF 6.0, section 8: the tags of an image's columns and rows."""

ORIENTATION, X_RESOLUTION, Y_RESOLUTION = 274, 282, 283
"""TIFF 6.0, section 8: the tags of which way the rows and columns lie, and of pixels per unit."""

RATIONAL = 5
"""The type of a fraction in TIFF 6.0, section 2: two whole numbers of four bytes."""

TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "B", 8: "H", 9: "I", 16: "Q", 17: "Q"}
"""The types of whole numbers in TIFF 6.0, section 2, and BigTIFF, as `struct` calls them; those
that have a sign are read without it, because what is asked for here is never negative."""

MARKER = re.compile(rb"\xff[^\0\xff]")
"""Of JPEG, found as libjpeg does, which passes over fill (ISO 10918-1 B.1.1.2) and stray bytes."""

FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""JPEG markers of a frame, whose header says how large the image is (ISO 10918-1 B.2.2, and ISO
14495-1 C.2.2 of JPEG-LS)."""

WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers that nothing belongs to (ISO 10918-1 B.1.1.3) and an image goes on after."""

SCAN, END = 0xDA, 0xD9
"""JPEG markers that no frame follows."""

SKIPPED_SEGMENTS = frozenset({*range(0xC0, 0xD0), *range(0xDB, 0xF0), 0xFE})
"""JPEG markers before the scan that have a length; thumbnails lie in E0 to EF."""

DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax of a DICOM file whose whole content is deflated."""

LONGEST_HEADER = 2**16
"""Bytes of a DICOM file's own header (group 0002); a few hundred are usual."""

PORTION = 2**22
"""Bytes that are unpacked at a time."""

DAMAGED = (struct.error, OverflowError)
"""What a damaged file is noticed by, which decoding will refuse."""


def is_known(content: bytes | mmap.mmap) -> bool:
    """Whether a file begins as a PNG, JPEG, WebP, TIFF or BMP file. OpenCV decodes others, but of
    them nobody says here beforehand how large they are.
    """
    if content[:4] == b"RIFF":
        return content[8:12] == b"WEBP"
    return content[:2] in (b"\x89P", b"\xff\xd8", b"II", b"MM", b"BM")


def is_truncated(content: mmap.mmap) -> bool:
    """Whether a PNG or JPEG file breaks off: OpenCV decodes it to a half-grey image."""
    if content[:4] == b"\x89PNG":
        return _png_breaks_off(content)
    if content[:2] == b"\xff\xd8":
        return _jpeg_breaks_off(content)
    return False


def _png_breaks_off(content: mmap.mmap) -> bool:
    """Go from chunk to chunk; what lies behind the last one is no part of the image."""
    place, kind = 8, b""
    while kind != b"IEND":
        if place + 12 > len(content):
            return True
        length, kind = struct.unpack_from(">I4s", content, place)
        place += 12 + length
    return place > len(content)


def _jpeg_breaks_off(content: mmap.mmap) -> bool:
    """Pass over the segments, which may hold a thumbnail with an end of its own."""
    place = 2
    while place + 4 <= len(content):
        start, marker, length = struct.unpack_from(">BBH", content, place)
        if start != 0xFF or marker not in SKIPPED_SEGMENTS:
            break
        place += 2 + length
    return content.find(b"\xff\xd9", place) < 0


def white_is_zero(content: mmap.mmap) -> bool:
    """Whether a TIFF file says that its lowest value is white."""
    return tiff_tags(content).get(PHOTOMETRIC_INTERPRETATION) == 0


def tiff_tags(content: bytes | mmap.mmap) -> dict[int, float]:
    """The tags of the first page of a TIFF file that are one number, and of Exif data likewise."""
    return next(_tiff_pages(content), {})


def pixels_declared(content: bytes | mmap.mmap) -> int:
    """How many pixels an image file says it has, asked before they are decoded.

    Args:
        content: a PNG, JPEG, JPEG-LS, JPEG 2000, WebP, TIFF or BMP file.

    Returns:
        Width times height, of a TIFF file that of the larger of its first two pages; 0 where the
        file does not say, or not in a way that is known here.
    """
    try:
        pixels = [width * height for width, height in _sizes(content)]
    except DAMAGED:
        return 0
    return max(pixels, default=0) if all(pixels) else 0


def _sizes(content) -> Iterator[tuple[int, int]]:
    """Width and height of an image, or of each of the first two."""
    if content[:4] == b"\x89PNG":  # IHDR is the first chunk, PNG 11.2.1
        yield struct.unpack_from(">II", content, 16)
    elif content[:2] == b"\xff\xd8":
        yield from _jpeg_sizes(content)
    elif content[:4] == b"\xff\x4f\xff\x51":  # SIZ, ISO 15444-1 A.5.1
        yield struct.unpack_from(">II", content, 8)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        yield _webp_size(content)
    elif content[:2] == b"BM":  # rows that go down have a negative height
        width, height = struct.unpack_from("<ii", content, 18)
        yield abs(width), abs(height)
    else:
        for page, _ in zip(_tiff_pages(content), range(2), strict=False):
            yield page.get(IMAGE_WIDTH, 0), page.get(IMAGE_LENGTH, 0)


def jpeg_precision(content: bytes) -> int | None:
    """Bits of a value of JPEG or JPEG-LS data (ISO 10918-1 B.2.2); None of others."""
    try:
        known = content[:2] == b"\xff\xd8"
        return next((precision for precision, _, _ in _jpeg_frames(content) if known), None)
    except DAMAGED:
        return None


def _jpeg_sizes(content) -> Iterator[tuple[int, int]]:
    for _, height, width in _jpeg_frames(content):
        yield width, height


def _jpeg_frames(content) -> Iterator[tuple[int, int, int]]:
    """Precision, height and width of an image."""
    place = 2
    while found := MARKER.search(content, place):
        marker, place = content[found.start() + 1], found.end()
        if marker in (SCAN, END):
            return
        if marker in FRAMES:
            yield struct.unpack_from(">BHH", content, place + 2)
            return
        if marker not in WITHOUT_LENGTH:
            place += struct.unpack_from(">H", content, place)[0]


def _webp_size(content) -> tuple[int, int]:
    """RFC 9649: the canvas of an extended file, or the frame of a simple one."""
    kind = content[12:16]
    if kind == b"VP8X":
        size = content[24:30]
        return 1 + int.from_bytes(size[:3], "little"), 1 + int.from_bytes(size[3:], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff_pages(content) -> Iterator[dict[int, float]]:
    """The tags of each page of a TIFF or BigTIFF file that are one whole number, and its two
    resolutions, which are fractions."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        return
    try:
        big = struct.unpack_from(order + "H", content, 2)[0] == 43
        offset, count, step = ("Q", "Q", 20) if big else ("I", "H", 12)
        (place,) = struct.unpack_from(order + offset, content, 8 if big else 4)
        while place:
            (entries,) = struct.unpack_from(order + count, content, place)
            place += struct.calcsize(count)
            page = {}
            for _ in range(entries):
                tag, kind = struct.unpack_from(order + "HH", content, place)
                form = TIFF_NUMBERS.get(kind, "")
                # Of longer numbers an entry says where they are. libtiff takes a tag's first entry.
                if form and struct.calcsize(form) <= struct.calcsize(offset) and tag not in page:
                    value = place + (12 if big else 8)
                    (page[tag],) = struct.unpack_from(order + form, content, value)
                elif kind == RATIONAL and tag in (X_RESOLUTION, Y_RESOLUTION):
                    page[tag] = _tiff_fraction(content, order, place + (12 if big else 8), big)
                place += step
            yield page
            (place,) = struct.unpack_from(order + offset, content, place)
    except DAMAGED:
        return


def _tiff_fraction(content, order: str, entry: int, big: bool) -> float:
    """A fraction, which lies in the entry of a BigTIFF file and elsewhere in a classic one; 0 where
    there is none."""
    (place,) = (entry,) if big else struct.unpack_from(order + "I", content, entry)
    if place + 8 > len(content):
        return 0
    numerator, denominator = struct.unpack_from(order + "II", content, place)
    return numerator / denominator if denominator else 0


def inflates_beyond(file: BinaryIO, most: int) -> bool:
    """Whether a DICOM file that is deflated as a whole (PS3.5 A.5) holds more than `most` bytes.

    Args:
        file: open at its first byte; it is left somewhere else.
        most: bytes. They are unpacked to find out, a few at a time.
    """
    start = file.read(144)
    if start[128:132] != b"DICM":  # the preamble may be missing
        file.seek(12)
        start = bytes(132) + start[:12]
    if start[132:140] != b"\x02\x00\x00\x00UL\x04\x00":  # the length of the file's header
        return False
    (length,) = struct.unpack("<I", start[140:])
    if DEFLATED not in file.read(min(length, LONGEST_HEADER)):
        return False
    unpacking, size, packed = zlib.decompressobj(-zlib.MAX_WBITS), 0, file.read()
    while packed and size <= most:
        try:
            size += len(unpacking.decompress(packed, PORTION))
        except zlib.error:  # a damaged file, which pydicom will refuse
            return False
        packed = unpacking.unconsumed_tail
    return size > most
