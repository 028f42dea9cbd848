"""Checks that compressed data are complete: strips and tiles of a TIFF file, LZW and PackBits data.

OpenCV's libtiff leaves damaged parts of an 8-bit image black and reports no error. It does not
check that the compressed data fill the image exactly. The unpacked size of LZW and PackBits data is
computed without decompressing them.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from knee_attention.films.image_headers import DAMAGED, PORTION, TiffField, tiff_directories
from knee_attention.films.jpeg import check_whole

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, STRIP_LENGTH, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, JPEG_TABLES = 322, 323, 324, 325, 347
"""Tags of TIFF 6.0 and of TIFF Technical Note 2."""

LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 5, 7, 8, 32946, 32773
"""Values of Compression."""

YCBCR, LOW_BITS_FIRST, SEPARATE = 6, 2, 2
"""Values of PhotometricInterpretation, FillOrder and PlanarConfiguration."""


def check_packed(content: bytes) -> None:
    """Check that the strips or tiles of a TIFF file's first page decompress to the image's size.

    Uncompressed data and rare compressions are not checked.

    Raises:
        ValueError: a strip or tile has another size, or a tag is missing.
    """
    fields = next(tiff_directories(content), {})

    def numbers(tag: int, default: int = 0) -> Sequence[int]:
        return _numbers(content, fields[tag]) if tag in fields else (default,)

    try:
        (compression, *_), (bits, *_) = numbers(COMPRESSION), numbers(BITS, 1)
        tiled = TILE_OFFSETS in fields
        offsets = numbers(TILE_OFFSETS if tiled else STRIP_OFFSETS)
        counts = numbers(TILE_BYTES if tiled else STRIP_BYTES)
        parts = [content[start : start + size] for start, size in zip(offsets, counts, strict=True)]
        if compression == JPEG:
            tables = bytes(numbers(JPEG_TABLES)) if JPEG_TABLES in fields else b""
            for part in parts if bits == 8 else ():
                check_whole(tables[:-2] + part[2:] if tables else part)
            return
        if numbers(FILL_ORDER)[0] == LOW_BITS_FIRST or numbers(PHOTOMETRIC)[0] == YCBCR:
            return
        samples = 1 if numbers(PLANAR)[0] == SEPARATE else numbers(SAMPLES, 1)[0]
        row = -(-numbers(TILE_WIDTH if tiled else WIDTH)[0] * bits * samples // 8)
        length = numbers(LENGTH)[0]
        rows = numbers(TILE_LENGTH)[0] if tiled else min(numbers(STRIP_LENGTH, length)[0], length)
        sizes = _unpacked_sizes(compression, parts, rows * row)
        last = {rows * row} if tiled else {rows * row, ((length - 1) % rows + 1) * row}
        strips = -(-length // rows)
        right = all(
            size in (last if (place + 1) % strips == 0 else {rows * row})
            for place, size in enumerate(sizes)
        )
    except (*DAMAGED, LookupError, ZeroDivisionError):
        raise ValueError("the TIFF directory is incomplete") from None
    if not right:
        raise ValueError("a strip or tile has the wrong size")


def _unpacked_sizes(compression: int, parts: list[bytes], most: int) -> Sequence[int | None]:
    """The size in bytes of each part after decompression; None for a damaged part. Empty if the
    compression is not one that can be checked."""
    if compression == LZW:
        return [lzw_size(part) for part in parts]
    if compression == PACKBITS:
        return [packbits_size(part) for part in parts]
    if compression in (DEFLATE, OLD_DEFLATE):
        return [_inflated_size(part, most) for part in parts]
    return []


def _inflated_size(packed: bytes, most: int) -> int | None:
    """The size in bytes of deflated data; None if it is more than `most`, or if the data are
    damaged or their checksum (RFC 1950 2.2) is wrong. They are inflated in small portions."""
    unpacking, size = zlib.decompressobj(), 0
    while packed and size <= most:
        try:
            size += len(unpacking.decompress(packed, PORTION))
        except zlib.error:
            return None
        packed = unpacking.unconsumed_tail
    return size if unpacking.eof and size <= most else None


def _numbers(content, field: TiffField) -> Sequence[int]:
    """The numbers of a field; its bytes if they are not numbers."""
    order, offset = "<" if content[:2] == b"II" else ">", "I" if field.room == 4 else "Q"
    form = f"{order}{field.count}{field.form[-1:] or 'B'}"
    place = field.place
    if struct.calcsize(form) > field.room:
        (place,) = struct.unpack_from(order + offset, content, place)
    return struct.unpack_from(form, content, place)


CLEAR, END = 256, 257
"""The LZW codes that empty the table and that end the data (TIFF 6.0, section 13)."""

FIRST_STRING = 258
"""The first code that is added to the table after a CLEAR."""

MOST_CODES = 2**12 + 1024
"""The largest number of codes between two CLEAR that libtiff reads."""

WIDTHS = np.repeat(np.arange(9, 13, dtype=np.int32), (254, 512, 1024, MOST_CODES - 1790))
"""The number of bits of each code after a CLEAR."""

STOPS = np.cumsum(WIDTHS, dtype=np.int32)
"""The bit after each code, counted from the CLEAR."""


def packbits_size(packed: bytes) -> int | None:
    """The size in bytes of PackBits data after decompression (TIFF 6.0 section 9, PS3.5 G.3).

    Returns:
        The size; None if the last run is incomplete. A single byte behind it is padding.
    """
    place, size, end = 0, 0, len(packed) - 1
    while place < end:
        head = packed[place]
        if head < 128:
            size += head + 1
            place += head + 2
        elif head > 128:
            size += 257 - head
            place += 2
        else:
            place += 1
    return size if place <= end + 1 else None


def lzw_size(packed: bytes) -> int | None:
    """The size in bytes of a TIFF file's LZW data after decompression (TIFF 6.0, section 13).

    Returns:
        The size; None if a code is not in the table.
    """
    octets = np.frombuffer(packed + bytes(2), np.uint8).astype(np.int32)
    words = octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]
    place, size, last = 0, 0, CLEAR
    while last == CLEAR:
        codes = _next_codes(words, place)
        last = codes[-1] if codes.size else END
        place += int(STOPS[codes.size - 1])
        codes = codes[:-1] if last in (CLEAR, END) else codes  # libtiff does not require END
        if (codes >= FIRST_STRING + np.arange(codes.size)).any():
            return None
        size += _string_bytes(codes)
    return size


def _next_codes(words: np.ndarray, place: int) -> np.ndarray:
    """The codes from bit `place` up to and including the first CLEAR or END."""
    count = np.searchsorted(STOPS, 8 * words.size - place, side="right")
    widths = WIDTHS[:count]
    starts = place + STOPS[:count] - widths
    codes = words[starts >> 3] >> (24 - (starts & 7) - widths) & (1 << widths) - 1
    no_strings = np.flatnonzero(codes >> 1 == CLEAR >> 1)
    return codes[: no_strings[0] + 1] if no_strings.size else codes


def _string_bytes(codes: np.ndarray) -> int:
    """The total size in bytes of the strings between two CLEAR.

    Each string in the table is an earlier string plus one byte. So its length is the number of
    steps back to a single byte.
    """
    count = codes.size
    before = np.maximum(codes - FIRST_STRING, -1)  # -1 means a single byte
    length = np.ones(count, np.int32)
    active = np.flatnonzero(before >= 0)
    while active.size:  # each round doubles the number of steps
        there = before[active]
        further, more = before[there], length[there]
        length[active] += more
        before[active] = further
        active = active[further >= 0]
    return int(length.sum())
