"""Size, tags and truncation of image files, read from their structure.

OpenCV decodes truncated and huge files without an error, so these are checked first.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from knee_attention.films.jpeg_segments import frame_header

PHOTOMETRIC_INTERPRETATION = 262
"""TIFF 6.0, section 8: the tag whose value 0 is WhiteIsZero."""

IMAGE_WIDTH, IMAGE_LENGTH = 256, 257
"""TIFF 6.0, section 8: the tags for the number of columns and of rows."""

ORIENTATION, X_RESOLUTION, Y_RESOLUTION = 274, 282, 283
"""TIFF 6.0, section 8: the tags for the orientation and for the pixels per unit of length."""

RATIONAL, FRACTION = 5, "II"
"""The type code of a fraction in TIFF 6.0, section 2, and the `struct` format of its two integers.
"""

TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "B", 8: "H", 9: "I", 16: "Q", 17: "Q"}
"""Type codes of integers in TIFF 6.0, section 2, and BigTIFF, and their `struct` formats. Signed
types are read as unsigned, because the tags used here are never negative."""

DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax of a DICOM file whose whole data set is deflated."""

LONGEST_HEADER = 2**16
"""The largest file meta header (group 0002) of a DICOM file in bytes; a few hundred are usual."""

PORTION = 2**22
"""Number of bytes to inflate at a time."""

DAMAGED = (struct.error, OverflowError)
"""Exceptions that damaged structures raise here. Decoding refuses such a file later."""


def is_known(content: bytes) -> bool:
    """Whether a file begins as a PNG, JPEG, WebP, TIFF or BMP file.

    OpenCV decodes other formats too, but their size cannot be checked here beforehand.
    """
    if content[:4] == b"RIFF":
        return content[8:12] == b"WEBP"
    return content[:2] in (b"\x89P", b"\xff\xd8", b"II", b"MM", b"BM")


def is_truncated(content: bytes) -> bool:
    """Whether a PNG file ends before its IEND chunk does; False for other formats.

    Bytes behind that chunk do not matter.
    """
    if content[:4] != b"\x89PNG":
        return False
    place, kind = 8, b""
    while kind != b"IEND":
        if place + 12 > len(content):
            return True
        length, kind = struct.unpack_from(">I4s", content, place)
        place += 12 + length
    return place > len(content)


def white_is_zero(content: bytes) -> bool:
    """Whether a TIFF file states WhiteIsZero: its lowest value is white."""
    return tiff_tags(content).get(PHOTOMETRIC_INTERPRETATION) == 0


def tiff_tags(content: bytes) -> dict[int, float]:
    """The tags of a TIFF file's first page, or of Exif data, whose value is a single number."""
    return next(_tiff_pages(content), {})


def pixels_declared(content: bytes) -> int:
    """The number of pixels that an image file's header declares.

    Args:
        content: a PNG, JPEG, JPEG-LS, JPEG 2000, WebP, TIFF or BMP file.

    Returns:
        Width times height; for a TIFF file the larger of its first two pages; 0 if the header
        does not state it or cannot be read.
    """
    try:
        pixels = [width * height for width, height in _sizes(content)]
    except DAMAGED:
        return 0
    return max(pixels, default=0) if all(pixels) else 0


def _sizes(content) -> Iterator[tuple[int, int]]:
    """Yield width and height of an image, or of each of the first two pages."""
    if content[:4] == b"\x89PNG":  # IHDR is the first chunk (PNG 11.2.1)
        yield struct.unpack_from(">II", content, 16)
    elif content[:2] == b"\xff\xd8":
        header = frame_header(content)
        if header:
            yield header.width, header.height
    elif content[:4] == b"\xff\x4f\xff\x51":  # SIZ (ISO 15444-1 A.5.1)
        yield struct.unpack_from(">II", content, 8)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        yield _webp_size(content)
    elif content[:2] == b"BM":  # a negative height means that rows run from top to bottom
        width, height = struct.unpack_from("<ii", content, 18)
        yield abs(width), abs(height)
    else:
        for page, _ in zip(_tiff_pages(content), range(2), strict=False):
            yield page.get(IMAGE_WIDTH, 0), page.get(IMAGE_LENGTH, 0)


def _webp_size(content) -> tuple[int, int]:
    """Width and height of the canvas of an extended file, or the frame of a simple one (RFC 9649).
    """
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
    """Yield for each page of a TIFF or BigTIFF file its tags with a single integer, and its two
    resolutions, which are fractions."""
    for fields in tiff_directories(content):
        page = {}
        for tag, field in fields.items():
            if field.form[1:] == FRACTION:
                if tag in (X_RESOLUTION, Y_RESOLUTION):
                    page[tag] = _tiff_fraction(content, field)
            # Larger values lie elsewhere; the entry only points to them.
            elif field.form and struct.calcsize(field.form) <= field.room:
                (page[tag],) = struct.unpack_from(field.form, content, field.place)
        yield page


class TiffField(NamedTuple):
    """An entry of a TIFF directory: the numbers of one tag.

    Attributes:
        form: the `struct` format of one number; blank if it is neither integer nor fraction.
        count: how many numbers there are.
        place: the offset of the numbers; if they need more than `room` bytes, the offset of a
            pointer to them.
        room: number of bytes in the entry for the numbers.
    """

    form: str
    count: int
    place: int
    room: int


def tiff_directories(content: bytes) -> Iterator[dict[int, TiffField]]:
    """Yield for each page of a TIFF or BigTIFF file its fields by tag, up to a damaged page."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        return
    try:
        big = struct.unpack_from(order + "H", content, 2)[0] == 43
        offset, count, step = ("Q", "Q", 20) if big else ("I", "H", 12)
        room = struct.calcsize(offset)
        entry = f"{order}HH{offset}{room}x"
        (place,) = struct.unpack_from(order + offset, content, 8 if big else 4)
        while place:
            (entries,) = struct.unpack_from(order + count, content, place)
            place += struct.calcsize(count)
            page = {}
            for _ in range(entries):
                tag, kind, numbers = struct.unpack_from(entry, content, place)
                form = FRACTION if kind == RATIONAL else TIFF_NUMBERS.get(kind)
                if tag not in page:  # libtiff takes a tag's first entry
                    form = order + form if form else ""
                    page[tag] = TiffField(form, numbers, place + step - room, room)
                place += step
            yield page
            (place,) = struct.unpack_from(order + offset, content, place)
    except DAMAGED:
        return


def _tiff_fraction(content, field: TiffField) -> float:
    """The value of a fraction; 0 if it is missing or its denominator is 0. A BigTIFF entry holds
    it, a classic one points to it."""
    place = field.place
    if struct.calcsize(field.form) > field.room:
        (place,) = struct.unpack_from(field.form[0] + "I", content, place)
    if place + 8 > len(content):
        return 0
    numerator, denominator = struct.unpack_from(field.form, content, place)
    return numerator / denominator if denominator else 0


def inflates_beyond(file: BinaryIO, most: int) -> bool:
    """Whether a deflated DICOM file (PS3.5 A.5) inflates to more than `most` bytes.

    The data are inflated to find out, in small portions.

    Args:
        file: open at its first byte; its position changes.
        most: the limit in bytes.
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
        except zlib.error:  # pydicom refuses the damaged file later
            return False
        packed = unpacking.unconsumed_tail
    return size > most
