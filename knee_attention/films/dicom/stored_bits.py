"""The bits of a DICOM film's words that hold the image, even if header and pixel data disagree.

A header states them in BitsStored, HighBit and PixelRepresentation (PS3.5 8.1.1). Compressed data
state them too, and decoders follow the compressed data (PS3.5 8.2.4).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from knee_attention.films.jpeg_segments import frame_header

if TYPE_CHECKING:
    from pydicom import Dataset

OVERLAYS = range(0x6000, 0x6020, 2)
"""The groups of overlays (PS3.3 C.9.2)."""

NOISE = 1 / 8
"""A choice of bits is an image if the median difference of neighbouring pixels is at most this part
of the value range, or of the other choice's difference. In noise it is about a third of the range.
"""

UNUSED = 3
"""A film leaves fewer than this many of its highest bits unused."""

MOST_BITS = 32
"""The largest number of bits in a word. Films have at most 16."""


@dataclass(frozen=True)
class StoredBits:
    """The position of a value in its word, as the header states it.

    Attributes:
        bits: number of bits of the value.
        low: position of its lowest bit.
        signed: whether it is a two's complement.
        overlays: bit mask of the other bits that are overlays.
        padding: the word of pixels outside the image; None if there is none.
    """

    bits: int
    low: int
    signed: bool
    overlays: int = 0
    padding: int | None = None


@dataclass(frozen=True)
class Words:
    """The form of the words, as the pixel data themselves state it.

    Attributes:
        bits: number of bits of a word.
        signed: whether decoding gives negative values; None if the data do not state it.
    """

    bits: int
    signed: bool | None = None


def words_of(dataset: "Dataset") -> Words | None:
    """The form of the words by a film's pixel data; None if they do not state it.

    Args:
        dataset: the film's file.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels.utils import get_j2k_parameters
    from pydicom.uid import RLELossless

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == RLELossless:
        return Words(dataset.BitsAllocated)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    jpeg2000 = get_j2k_parameters(frame)
    if jpeg2000:
        return Words(jpeg2000["precision"], jpeg2000["is_signed"])
    header = frame_header(frame)
    return Words(header.precision) if header and header.precision else None


def take_words(dataset: "Dataset", words: Words) -> StoredBits:
    """Change a film's header so that pydicom decodes whole words.

    Args:
        dataset: the film's file; its header is changed.
        words: the form of the words by its pixel data.

    Returns:
        The bits that the original header states.

    Raises:
        ValueError: the header states an impossible number of bits.
    """
    stored = min(int(dataset.BitsStored), words.bits)
    if stored < 1 or words.bits > MOST_BITS:
        raise ValueError(f"expected 1 to {MOST_BITS} bits. Received: {stored} of {words.bits}")
    high = dataset.get("HighBit")
    low = high + 1 - stored if isinstance(high, int) else 0
    if low < 0 or low + stored > words.bits:  # the word has no such bits
        low = 0
    overlays = _overlays(dataset, words) & ~(((1 << stored) - 1) << low)
    stated = StoredBits(
        stored, low, bool(dataset.PixelRepresentation), overlays, _padding(dataset, words)
    )
    dataset.BitsStored, dataset.HighBit = words.bits, words.bits - 1
    dataset.PixelRepresentation = int(bool(words.signed))
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset.BitsAllocated = next(size for size in (8, 16, 32) if words.bits <= size)
    return stated


def _overlays(dataset, words: Words) -> int:
    """The bit mask of overlays in the pixels; these have no OverlayData (PS3.5 8.1.2)."""
    mask = 0
    for group in OVERLAYS:
        element = dataset.get((group, 0x0102))
        place = None if element is None else element.value
        if place in range(words.bits) and (group, 0x3000) not in dataset:
            mask |= 1 << place
    return mask


def _padding(dataset, words: Words) -> int | None:
    value = dataset.get("PixelPaddingValue")
    return value & ((1 << words.bits) - 1) if isinstance(value, int) else None


def stored_values(
    pixels: np.ndarray, words: Words, stated: StoredBits
) -> tuple[np.ndarray, int, bool]:
    """Extract the values of a film from whole words.

    Bits that the header leaves out belong to the image if neighbouring pixels are similar only
    with them.

    Args:
        pixels: `(height, width)` integers, as decoded.
        words: the form of the words by the pixel data.
        stated: the bits by the header.

    Returns:
        The values, their number of bits, and whether they are signed.

    Raises:
        ValueError: header and pixel data contradict each other, and neither gives an image.
    """
    signed = stated.signed if words.signed is None else words.signed
    if not stated.low and signed == stated.signed:
        values = _signed(pixels, words.bits) if signed else pixels
        if _in_range(values, stated.bits, signed):
            return values, stated.bits, signed
    whole = pixels.astype(np.int64) & ((1 << words.bits) - 1)
    whole[whole == stated.padding] &= ((1 << stated.bits) - 1) << stated.low
    whole &= ~stated.overlays
    bits, low = _bits_used(whole, words, stated, signed)
    values = (whole >> low) & ((1 << bits) - 1)
    if signed != stated.signed:
        signed = _keeps_sign(values, bits, signed)
    values = _signed(values, bits) if signed else values
    return values.astype(np.int32 if signed or bits > 16 else np.uint16), bits, signed


def _bits_used(
    whole: np.ndarray, words: Words, stated: StoredBits, signed: bool
) -> tuple[int, int]:
    """The number of bits of the values, and the position of the lowest."""
    bits, low = stated.bits, stated.low
    if (whole & ((1 << low) - 1)).any():  # the lower bits may be the image itself
        if _fits(whole, bits, words.bits, signed):
            return bits, 0
        used = int(whole.max()).bit_length()
        if used <= low + bits - UNUSED:
            return used, 0
    if _fits(whole >> low, bits, words.bits - low, signed):
        return bits, low
    inner = (whole >> low) & ((1 << bits) - 1)
    upper = whole >> (low + bits)
    apart = upper[:, 1:] != upper[:, :-1]
    every = _signed(whole, words.bits) if signed else whole
    masked, unmasked = _jump(inner, apart) * 2**low, _jump(every, apart)
    if masked <= unmasked and masked <= NOISE * max(2 ** (bits + low), unmasked):
        return bits, low
    if unmasked < masked / 2:
        return (words.bits if signed else int(whole.max()).bit_length()), 0
    raise ValueError(f"BitsStored is {stated.bits}, but the pixels have more bits")


def _fits(values: np.ndarray, bits: int, width: int, signed: bool) -> bool:
    """Whether all words of `width` bits are values of `bits` bits."""
    return _in_range(_signed(values, width) if signed else values, bits, signed)


def _in_range(values: np.ndarray, bits: int, signed: bool) -> bool:
    if not signed:
        return int(values.max()) < 1 << bits
    return -(1 << (bits - 1)) <= int(values.min()) and int(values.max()) < 1 << (bits - 1)


def _keeps_sign(values: np.ndarray, bits: int, signed: bool) -> bool:
    """Whether the values are signed: as the pixel data state it, unless neighbouring pixels are
    similar only with the header's sign."""
    upper = values >> (bits - 1)
    apart = upper[:, 1:] != upper[:, :-1]
    jumps = _jump(_signed(values, bits), apart), _jump(values, apart)
    return (not signed) if jumps[signed] < jumps[not signed] / 2 else signed


def _jump(values: np.ndarray, apart: np.ndarray) -> float:
    """The median difference of horizontal neighbours where `apart` is true; 0 if it never is."""
    jumps = np.abs(np.diff(values, axis=1))[apart]
    return float(np.median(jumps)) if jumps.size else 0.0


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    """Interpret words of `bits` bits as two's complements."""
    if values.dtype.itemsize * 8 == bits:
        return values.view(values.dtype.str.replace("u", "i"))
    values = values.astype(np.int64) & ((1 << bits) - 1)
    return values - ((values >> (bits - 1)) << bits)
