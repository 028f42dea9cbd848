"""The decompressed size of LZW and PackBits data, computed without decompressing them."""

import numpy as np

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
