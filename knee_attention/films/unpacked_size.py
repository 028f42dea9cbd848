"""How many bytes packed data unpack to, found without unpacking them."""

import numpy as np

CLEAR, END = 256, 257
"""Codes of LZW that are no string: an empty table follows, or nothing (TIFF 6.0, section 13)."""

FIRST_STRING = 258
"""The code of the string that the first code behind a CLEAR begins."""

MOST_CODES = 2**12 + 1024
"""Between two CLEAR; libtiff reads so many."""

WIDTHS = np.repeat(np.arange(9, 13, dtype=np.int32), (254, 512, 1024, MOST_CODES - 1790))
"""Bits of each code behind a CLEAR."""

STOPS = np.cumsum(WIDTHS, dtype=np.int32)


def packbits_size(packed: bytes) -> int | None:
    """Bytes that PackBits data unpack to (TIFF 6.0, section 9; DICOM PS3.5 G.3).

    Returns:
        None if the last run is not whole. A single byte behind it is padding.
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
    """Bytes that LZW data of a TIFF file unpack to (TIFF 6.0, section 13).

    Returns:
        None if a code stands for no string.
    """
    octets = np.frombuffer(packed + bytes(2), np.uint8).astype(np.int32)
    words = octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]
    place, size, last = 0, 0, CLEAR
    while last == CLEAR:
        codes = _next_codes(words, place)
        last = codes[-1] if codes.size else END
        place += int(STOPS[codes.size - 1])
        codes = codes[:-1] if last in (CLEAR, END) else codes  # libtiff does without END as well
        if (codes >= FIRST_STRING + np.arange(codes.size)).any():
            return None
        size += _string_bytes(codes)
    return size


def _next_codes(words: np.ndarray, place: int) -> np.ndarray:
    """The codes from a bit on, up to the first CLEAR or END, that one included."""
    count = np.searchsorted(STOPS, 8 * words.size - place, side="right")
    widths = WIDTHS[:count]
    starts = place + STOPS[:count] - widths
    codes = words[starts >> 3] >> (24 - (starts & 7) - widths) & (1 << widths) - 1
    no_strings = np.flatnonzero(codes >> 1 == CLEAR >> 1)
    return codes[: no_strings[0] + 1] if no_strings.size else codes


def _string_bytes(codes: np.ndarray) -> int:
    """Bytes of all strings between two CLEAR. The one that a code begins is the one before it and a
    byte more, so a string has as many bytes as there are codes on the way to a single byte."""
    count = codes.size
    before = np.maximum(codes - FIRST_STRING, -1)  # -1: a single byte
    length = np.ones(count, np.int32)
    active = np.flatnonzero(before >= 0)
    while active.size:  # each round looks twice as far back
        there = before[active]
        further, more = before[there], length[there]
        length[active] += more
        before[active] = further
        active = active[further >= 0]
    return int(length.sum())
