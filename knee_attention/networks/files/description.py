"""Check the description in a model file: types and ranges."""

import base64
import os
from collections.abc import Callable, Mapping

from knee_attention.errors import InputError
from knee_attention.limits import (
    ATTENTIONS,
    COVERAGE_STEPS,
    DECISIONS,
    DIGEST_BYTES,
    GRADES,
    LARGEST_SIDE,
    TYPICAL_SIDE,
)

DESCRIPTION = "knee_attention"
"""Key of the description: an attribute of an .h5 file, an entry of the metadata of an .onnx file,
or a member of a .keras archive (with the suffix .json)."""

GRAPH = ("backbone", "branches", "fusion", "outputs", "image_size", "channels", "pixel_mean",
         "pixel_deviation", "precision")  # fmt: skip
"""Required entries of a description. The others may be missing or None."""

LARGEST = 1e9
"""Largest number in a description."""

COVERAGES = COVERAGE_STEPS - 1
"""Number of thresholds of the prediction sets."""


def check_description(description: Mapping, source: str | os.PathLike) -> None:
    """Refuse a description with a missing entry, a wrong type or a value out of range.

    `films.preparation.Preparation.recorded` checks the entries about cropping and preparation.

    Args:
        description: as `read_description` returns it.
        source: name of the file in messages.

    Raises:
        InputError: an entry is missing, has a wrong type, or is out of range.
    """
    for name, (expected, is_valid) in _ENTRIES.items():
        value = description.get(name)
        if value is None and name not in GRAPH:
            continue
        if not is_valid(value):
            received = "nothing" if value is None else f"{value!r:.60}"
            raise InputError(f"{source}: a damaged model file ({name}: expected {expected}. "
                             f"Received: {received})")
    outputs = description["outputs"]
    moved = (description.get("local_calibration") or {}).get("cut_points", {})
    named = {description.get("chosen"), *(description.get("temperatures") or {}), *moved}
    for name in named - {None}:
        if name not in outputs:
            raise InputError(f"{source}: a damaged model file (expected one of the outputs "
                             f"{', '.join(outputs)}. Received: {name!r:.60})")


def masked_branches(description: Mapping) -> list[str]:
    """The branches of a description that have a mask: none of them if `attention` is "none"."""
    if description.get("attention") == "none":
        return []
    return list(description.get("branches") or [])


def _number(least: float = -LARGEST, most: float = LARGEST) -> Callable[[object], bool]:
    return lambda value: type(value) in (int, float) and least <= value <= most


def _whole(least: int = 0, most: float = LARGEST) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _list_of(is_valid: Callable[[object], bool], *lengths: int) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, list)
        and (not lengths or len(value) in lengths)
        and all(map(is_valid, value))
    )


def _is_positive(value: object) -> bool:
    return _number()(value) and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_names(value: object) -> bool:
    return _list_of(_is_text)(value) and all(value) and len(set(value)) == len(value)


def _are_temperatures(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_positive, value.values()))


def _are_thresholds(value: object) -> bool:
    """Ascending numbers in 0-1, followed by nulls, for each coverage from 1% to 99%."""
    if not isinstance(value, Mapping) or not _list_of(_is_share_or_none, COVERAGES)(
        value.get("thresholds")
    ):
        return False
    known = [one for one in value["thresholds"] if one is not None]
    return value["thresholds"] == sorted(known) + [None] * (COVERAGES - len(known))


def _is_share_or_none(value: object) -> bool:
    return value is None or _number(0, 1)(value)


def _are_counts(value: object) -> bool:
    return _list_of(_whole(), len(GRADES))(value) and sum(value) > 0


def _is_decision(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.get("default") in DECISIONS
        and _are_counts(value.get("grade_counts"))
        and _number(0, 1)(value.get("power"))
    )


def _is_local_calibration(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("cut_points"), Mapping):
        return False
    moves = value["cut_points"].values()
    return (
        all(_is_text(value.get(name)) for name in ("data", "date"))
        and _whole(1)(value.get("knees"))
        and all(isinstance(one, Mapping) and set(one) == {"shifts", "temperature"} for one in moves)
        and all(_list_of(_number(-99, 99), len(GRADES) - 1)(one["shifts"]) for one in moves)
        and all(_is_positive(one["temperature"]) for one in moves)
        and _are_thresholds(value.get("prediction_sets"))
    )


def _are_digests(value: object) -> bool:
    """Digests of persons as `datasets.persons` writes them: base64 of 4 bytes each."""
    try:
        return len(base64.b64decode(value, validate=True)) % DIGEST_BYTES == 0
    except (TypeError, ValueError):
        return False


def _is_typical_knee(value: object) -> bool:
    if not isinstance(value, Mapping) or not _number(-1, 1)(value.get("least")):
        return False
    grey = value.get("grey")
    row = _list_of(_number(0, 255), TYPICAL_SIDE)
    return _list_of(row, TYPICAL_SIDE)(grey) and len({level for one in grey for level in one}) > 1


def _is_experiment(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    checks = {"seed": _whole(0, 2**32 - 1), "limit": _whole(1)}
    return all(
        is_valid(value[name]) for name, is_valid in checks.items() if value.get(name) is not None
    )


def _are_results(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("outputs"), Mapping):
        return False
    metrics = value["outputs"].values()
    return (
        _whole(1)(value.get("knees"))
        and _is_text(value.get("split"))
        and all(isinstance(one, Mapping) for one in metrics)
        and all(number is None or _number()(number) for one in metrics for number in one.values())
    )


_ENTRIES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "backbone": ("a name", _is_text),
    "branches": ("distinct names", _are_names),
    "fusion": ("a name", _is_text),
    "outputs": ("distinct names", lambda value: _are_names(value) and len(value) > 0),
    "image_size": (
        f"height and width in whole pixels from 1 to {LARGEST_SIDE}",
        _list_of(_whole(1, LARGEST_SIDE), 2),
    ),
    "channels": ("1 or 3", lambda value: type(value) is int and value in (1, 3)),
    "pixel_mean": ("one number or three", _list_of(_number(), 1, 3)),
    "pixel_deviation": ("a number above 0", _is_positive),
    "precision": ("a name", _is_text),
    "attention": (f"one of {', '.join(ATTENTIONS)}", lambda value: value in ATTENTIONS),
    "name": ("a text", _is_text),
    "chosen": ("a name", _is_text),
    "flips": ("true or false", lambda value: isinstance(value, bool)),
    "synthetic": ("true or false", lambda value: isinstance(value, bool)),
    "parameters": ("a whole number", _whole()),
    "imported_from": ("a text", _is_text),
    "temperatures": ("a number above 0 per output", _are_temperatures),
    "decision": ("a rule, the training knees of each grade, and a power from 0 to 1", _is_decision),
    "prediction_sets": (f"{COVERAGES} ascending thresholds from 0 to 1", _are_thresholds),
    "local_calibration": (
        "its data, date and knees, cut points per output, and prediction sets",
        _is_local_calibration,
    ),
    "training_persons": ("digests in base64", _are_digests),
    "typical_knee": (
        f"{TYPICAL_SIDE} rows of {TYPICAL_SIDE} grey levels, and a likeness from -1 to 1",
        _is_typical_knee,
    ),
    "experiment": ("names and values", _is_experiment),
    "results": ("knees, split, and metrics per output", _are_results),
}
