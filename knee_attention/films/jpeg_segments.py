"""The segments of JPEG and JPEG-LS data, and what the header of the frame says."""

import mmap
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")
"""Of a segment, found as libjpeg does, which passes over fill (ISO 10918-1 B.1.1.2) and stray
bytes, over stuffing (B.1.1.5) and restarts (B.1.1.3)."""

FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame, whose header says how large the image is (ISO 10918-1 B.2.2, and ISO 14495-1
C.2.2 of JPEG-LS)."""

TEMPORARY, SCAN, END = 0x01, 0xDA, 0xD9
"""Markers: one without a segment, that of a scan, and that of the image's end."""

FRAME_HEADER = struct.Struct(">BHH")


class FrameHeader(NamedTuple):
    """What the header of a frame says (ISO 10918-1 B.2.2).

    Attributes:
        precision: bits of a value.
        height: rows; 0 if the data say it behind the scan.
        width: columns.
    """

    precision: int
    height: int
    width: int


def frame_header(content: bytes | mmap.mmap) -> FrameHeader | None:
    """The header of the frame before the first scan; None if there is none, or no JPEG data."""
    if content[:2] != b"\xff\xd8":
        return None
    for marker, start, _ in jpeg_segments(content):
        if marker == SCAN:
            return None
        if marker in FRAMES:
            header = content[start + 2 : start + 2 + FRAME_HEADER.size]
            whole = len(header) == FRAME_HEADER.size
            return FrameHeader(*FRAME_HEADER.unpack(header)) if whole else None
    return None


def jpeg_segments(content: bytes | mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """The segments of JPEG data up to the end of the image; entropy-coded data are passed over.

    Yields:
        The second byte of the marker, and where what follows it begins, its length first, and ends.
    """
    place = 2
    while found := MARKER.search(content, place):
        marker, place = content[found.start() + 1], found.end()
        if marker == END:
            return
        if marker != TEMPORARY:
            end = place + int.from_bytes(content[place : place + 2], "big")
            yield marker, place, end
            place = end
