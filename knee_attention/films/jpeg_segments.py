"""The segments of JPEG and JPEG-LS data, and the frame header."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")
"""A segment's marker. As in libjpeg, fill bytes (ISO 10918-1 B.1.1.2), stray bytes, stuffed zeros
(B.1.1.5) and restart markers (B.1.1.3) are skipped."""

FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame. Its header states the image's size (ISO 10918-1 B.2.2; JPEG-LS: ISO 14495-1
C.2.2)."""

TEMPORARY, SCAN, END = 0x01, 0xDA, 0xD9
"""Markers: TEM, which has no segment; start of scan; end of image."""

FRAME_HEADER = struct.Struct(">BHH")


class FrameHeader(NamedTuple):
    """The header of a frame (ISO 10918-1 B.2.2).

    Attributes:
        precision: bits per sample.
        height: number of rows; 0 if the data state it only after the scan.
        width: number of columns.
    """

    precision: int
    height: int
    width: int


def frame_header(content: bytes) -> FrameHeader | None:
    """The frame header before the first scan; None if it is missing or these are not JPEG data."""
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


def jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Iterate over the segments of JPEG data up to the end of image; skip entropy-coded data.

    Yields:
        The second byte of the marker; the offset behind the marker, where the segment's length
        stands; and the offset of the segment's end.
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
