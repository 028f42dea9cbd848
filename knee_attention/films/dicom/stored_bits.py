"""Which bits of a DICOM film's pixels are the image, where header and pixel data disagree.

A header says it with BitsStored, HighBit and PixelRepresentation (PS3.5 8.1.1). A codestream says
it too, and a decoder follows the codestream (PS3.5 8.2.4).
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
"""Of the range of values, or of the other reading's jumps: neighbours of an image differ by less,
those of noise by a third."""

UNUSED = 3
"""So many of its highest bits no film leaves unused."""

MOST_BITS = 32
"""Of a word; films have 16 at most."""


@dataclass(frozen=True)
class StoredBits:
    """How a value lies in the words that it is stored in.

    Attributes:
        bits: how many are the value's.
        low: the lowest of them.
        signed: whether they are a two's complement.
        overlays: of the other bits, a mask of those that the header says are overlays.
        padding: the word that stands where there is no image, if there is one.
    """

    bits: int
    low: int
    signed: bool
    overlays: int = 0
    padding: int | None = None


@dataclass(frozen=True)
class Words:
    """What the pixel data themselves say of their words.

    Attributes:
        bits: of a word.
        signed: whether decoding gives negative values; None where the data do not say.
    """

    bits: int
    signed: bool | None = None


def words_of(dataset: "Dataset") -> Words | None:
    """What the pixel data of a film say of themselves, None where they say nothing.

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
    """Have pydicom decode whole words, whatever the header says of their bits.

    Args:
        dataset: the film's file, whose header is changed.
        words: what its pixel data say.

    Returns:
        What the header said.

    Raises:
        ValueError: the header says nothing that can be.
    """
    stored = min(int(dataset.BitsStored), words.bits)
    if stored < 1 or words.bits > MOST_BITS:
        raise ValueError(f"expected 1 to {MOST_BITS} bits. Received: {stored} of {words.bits}")
    high = dataset.get("HighBit")
    low = high + 1 - stored if isinstance(high, int) else 0
    if low < 0 or low + stored > words.bits:  # there are no such bits
        low = 0
    overlays = _overlays(dataset, words) & ~(((1 << stored) - 1) << low)
    said = StoredBits(
        stored, low, bool(dataset.PixelRepresentation), overlays, _padding(dataset, words)
    )
    dataset.BitsStored, dataset.HighBit = words.bits, words.bits - 1
    dataset.PixelRepresentation = int(bool(words.signed))
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset.BitsAllocated = next(size for size in (8, 16, 32) if words.bits <= size)
    return said


def _overlays(dataset, words: Words) -> int:
    """Those without OverlayData lie in the pixels (PS3.5 8.1.2)."""
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
    pixels: np.ndarray, words: Words, said: StoredBits
) -> tuple[np.ndarray, int, bool]:
    """The values of a film out of whole words.

    Bits that the header does not know are the image's if only so neighbours have similar values.

    Args:
        pixels: `(height, width)` integers, as decoded.
        words: what the pixel data say.
        said: what the header says.

    Returns:
        The values, how many bits they have, and whether they are signed.

    Raises:
        ValueError: header and pixel data contradict each other, and neither makes an image.
    """
    signed = said.signed if words.signed is None else words.signed
    if not said.low and signed == said.signed:
        values = _signed(pixels, words.bits) if signed else pixels
        if _in_range(values, said.bits, signed):
            return values, said.bits, signed
    whole = pixels.astype(np.int64) & ((1 << words.bits) - 1)
    whole[whole == said.padding] &= ((1 << said.bits) - 1) << said.low
    whole &= ~said.overlays
    bits, low = _bits_used(whole, words, said, signed)
    values = (whole >> low) & ((1 << bits) - 1)
    if signed != said.signed:
        signed = _keeps_sign(values, bits, signed)
    values = _signed(values, bits) if signed else values
    return values.astype(np.int32 if signed or bits > 16 else np.uint16), bits, signed


def _bits_used(whole: np.ndarray, words: Words, said: StoredBits, signed: bool) -> tuple[int, int]:
    """How many bits the values have, and which is the lowest."""
    bits, low = said.bits, said.low
    if (whole & ((1 << low) - 1)).any():  # what lies lower may be the image itself
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
    raise ValueError(f"BitsStored is {said.bits}, the pixels have more bits")


def _fits(values: np.ndarray, bits: int, width: int, signed: bool) -> bool:
    """Whether words of `width` bits hold values of `bits` alone."""
    return _in_range(_signed(values, width) if signed else values, bits, signed)


def _in_range(values: np.ndarray, bits: int, signed: bool) -> bool:
    if not signed:
        return int(values.max()) < 1 << bits
    return -(1 << (bits - 1)) <= int(values.min()) and int(values.max()) < 1 << (bits - 1)


def _keeps_sign(values: np.ndarray, bits: int, signed: bool) -> bool:
    """The sign that the codestream says, unless neighbours are alike only with that of the header.
    """
    upper = values >> (bits - 1)
    apart = upper[:, 1:] != upper[:, :-1]
    jumps = _jump(_signed(values, bits), apart), _jump(values, apart)
    return (not signed) if jumps[signed] < jumps[not signed] / 2 else signed


def _jump(values: np.ndarray, apart: np.ndarray) -> float:
    """How much neighbours in a row differ where `apart`, in the median; 0 where none are."""
    jumps = np.abs(np.diff(values, axis=1))[apart]
    return float(np.median(jumps)) if jumps.size else 0.0


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    """Words of so many bits as two's complements."""
    if values.dtype.itemsize * 8 == bits:
        return values.view(values.dtype.str.replace("u", "i"))
    values = values.astype(np.int64) & ((1 << bits) - 1)
    return values - ((values >> (bits - 1)) << bits)
