"""What the structure of an image file says, where OpenCV decodes without a word."""

import mmap
import struct

PHOTOMETRIC_INTERPRETATION = 262
"""TIFF 6.0, section 8: the tag whose value 0 is WhiteIsZero."""

SKIPPED_SEGMENTS = frozenset({*range(0xC0, 0xD0), *range(0xDB, 0xF0), 0xFE})
"""JPEG markers before the scan that have a length; thumbnails lie in E0 to EF."""


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
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        return False
    try:
        big = struct.unpack_from(order + "H", content, 2)[0] == 43  # BigTIFF
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
        (entries,) = struct.unpack_from(order + ("Q" if big else "H"), content, place)
        place += 8 if big else 2
        for _ in range(entries):
            (tag,) = struct.unpack_from(order + "H", content, place)
            if tag == PHOTOMETRIC_INTERPRETATION:
                value = struct.unpack_from(order + "H", content, place + (12 if big else 8))
                return value == (0,)
            place += 20 if big else 12
    except struct.error:  # a damaged file, which decoding will refuse
        pass
    return False
