"""Conversion of a DICOM film's stored values to the values for display."""

from collections.abc import MutableSequence
from typing import TYPE_CHECKING

import numpy as np

from knee_attention.films.dicom.lookup_tables import LookupTable, lookup_table

if TYPE_CHECKING:
    from pydicom import Dataset

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

    A half-blank rescaling is completed, the first complete window is kept, and an unknown VOI
    function is removed.
    """
    rescaling = {"RescaleSlope": 1, "RescaleIntercept": 0}
    if all(_is_blank(dataset.get(keyword)) for keyword in rescaling):
        rescaling = dict.fromkeys(rescaling)
    for keyword, absent in rescaling.items():
        if _is_blank(dataset.get(keyword)):
            _put(dataset, keyword, absent)
    window = ("WindowCenter", "WindowWidth")
    pairs = zip(*(_listed(dataset.get(keyword)) for keyword in window), strict=False)
    first = next((pair for pair in pairs if not any(map(_is_blank, pair))), (None, None))
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
