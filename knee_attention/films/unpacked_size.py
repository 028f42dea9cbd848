"""How many bytes packed data unpack to, found without unpacking them."""


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
