"""Grey scale of DICOM films: from stored values to those for display, by all kinds of tables."""

from collections.abc import MutableSequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class LookupTable:
    """A table that maps pixel values (PS3.3 C.11.1.1.1, C.11.2.1.1).

    Attributes:
        first: the value of the first entry. Lower values get the first entry, values beyond the
            table the last one.
        entries: `(count,)` uint16.
        bits: number of bits of an entry.
    """

    first: int
    entries: np.ndarray
    bits: int

    @property
    def highest(self) -> int:
        """The highest value that an entry can have."""
        return 2**self.bits - 1

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Look up an array of values; the result has the same shape and is uint16."""
        whole = values if np.issubdtype(values.dtype, np.integer) else np.rint(values)
        places = np.clip(whole.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return self.entries[places]


def lookup_table(dataset: "Dataset", keyword: str, signed: bool) -> LookupTable | None:
    """The first table of a sequence that is not blank; None without one.

    Args:
        dataset: the film's file.
        keyword: `"ModalityLUTSequence"` or `"VOILUTSequence"`.
        signed: whether the table's input values can be negative.

    Raises:
        ValueError: the table contradicts its own descriptor.
    """
    items = dataset.get(keyword) or ()
    item = next((item for item in items if _is_filled(item)), None)
    if item is None:
        return None
    little = getattr(dataset.file_meta, "TransferSyntaxUID", None)
    order = ">" if little is not None and not little.is_little_endian else "<"
    count, first, bits = (int(value) for value in _numbers(item.LUTDescriptor, order))
    count = count & 0xFFFF or 2**16
    if not 1 <= bits <= 16:
        raise ValueError(f"expected 1 to 16 bits per table entry. Received: {bits}")
    if signed and first > 0x7FFF:
        first -= 0x10000
    entries = _entries(item.LUTData, count, bits, order)
    # Some files state 8 bits for 12-bit entries.
    return LookupTable(first, entries, max(bits, int(entries.max()).bit_length()))


def _is_filled(item) -> bool:
    values = (item.get("LUTDescriptor"), item.get("LUTData"))
    return all(value is not None and np.size(value) and value != b"" for value in values)


def _numbers(value, order: str) -> np.ndarray:
    """The 16-bit words of an element, for any VR."""
    if isinstance(value, bytes):
        return np.frombuffer(value[: len(value) // 2 * 2], order + "u2")
    return np.atleast_1d(np.asarray(value, np.int64))


def _entries(value, count: int, bits: int, order: str) -> np.ndarray:
    """The table's entries: one per word, or two 8-bit entries per word, the lower byte first. The
    length shows which form it is (PS3.3 C.11.1.1.1)."""
    words = _numbers(value, order) & 0xFFFF
    if len(words) >= count:
        return words[:count].astype(np.uint16)
    if bits <= 8 and len(words) == (count + 1) // 2:
        return words.astype("<u2").view(np.uint8)[:count].astype(np.uint16)
    if isinstance(value, bytes) and bits <= 8 and len(value) == count:
        return np.frombuffer(value, np.uint8).astype(np.uint16)
    raise ValueError(f"expected a table of {count} entries. Received: {len(words)} words")


VOI_FUNCTIONS = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})
"""The functions of PS3.3 C.11.2.1.3. The default is LINEAR."""


def displayed(stored: np.ndarray, dataset: "Dataset") -> tuple[np.ndarray, float, float]:
    """Apply the modality LUT or rescaling (PS3.3 C.11.1) and the VOI LUT or window (C.11.2).

    Blank optional elements count as absent. A VOI LUT takes precedence over a window, unless it
    contradicts its own descriptor.

    Args:
        stored: `(height, width)` integers.
        dataset: the film's file; blank elements are removed from it.

    Returns:
        The values, of any numeric dtype; and the lowest and the highest possible value, which an
        inversion needs.

    Raises:
        ValueError: a table or a window cannot be applied.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    _remove_blanks(dataset)
    bits, signed = dataset.BitsStored, bool(dataset.PixelRepresentation)
    modality = lookup_table(dataset, "ModalityLUTSequence", signed)
    if modality:
        values, low, high = modality(stored), 0.0, float(modality.highest)
    else:
        _put(dataset, "ModalityLUTSequence", None)
        ends = np.array([0, 2**bits - 1]) - (2 ** (bits - 1) if signed else 0)
        values = apply_modality_lut(stored, dataset)
        low, high = sorted(map(float, apply_modality_lut(ends, dataset)))
    table = _voi_table(dataset, low < 0)
    if table:
        values, low, high = table(values), 0.0, float(table.highest)
    else:
        _put(dataset, "VOILUTSequence", None)
        values = apply_voi_lut(values, dataset)
    return values, min(low, float(values.min())), max(high, float(values.max()))


def _voi_table(dataset, signed: bool) -> LookupTable | None:
    try:
        return lookup_table(dataset, "VOILUTSequence", signed)
    except (TypeError, ValueError):
        if "WindowCenter" in dataset:
            return None
        raise


def _remove_blanks(dataset) -> None:
    """Remove blank elements, which pydicom would not skip.

    A half-blank rescaling is completed, the first complete window with a width above 0 is kept, and
    an unknown VOI function is removed.
    """
    rescaling = {"RescaleSlope": 1, "RescaleIntercept": 0}
    if all(_is_blank(dataset.get(keyword)) for keyword in rescaling):
        rescaling = dict.fromkeys(rescaling)
    for keyword, absent in rescaling.items():
        if _is_blank(dataset.get(keyword)):
            _put(dataset, keyword, absent)
    window = ("WindowCenter", "WindowWidth")
    pairs = zip(*(_listed(dataset.get(keyword)) for keyword in window), strict=False)
    first = next(
        (pair for pair in pairs if not any(map(_is_blank, pair)) and pair[1] > 0), (None, None)
    )
    for keyword, value in zip(window, first, strict=True):
        _put(dataset, keyword, value)
    if str(dataset.get("VOILUTFunction") or "").strip().upper() not in VOI_FUNCTIONS:
        _put(dataset, "VOILUTFunction", None)


def _listed(value) -> list:
    return list(value) if isinstance(value, MutableSequence) else [value]


def _is_blank(value) -> bool:
    return value is None or value == ""


def _put(dataset, keyword: str, value) -> None:
    if value is None:
        dataset.pop(keyword, None)
    else:
        setattr(dataset, keyword, value)
