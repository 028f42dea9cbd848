"""What a model file says of itself, checked by type and range before anything relies on it."""

import os
from collections.abc import Callable, Mapping

from knee_attention.errors import InputError
from knee_attention.limits import LARGEST_SIDE

GRAPH = ("backbone", "branches", "fusion", "outputs", "image_size", "channels", "pixel_mean",
         "pixel_deviation", "precision")  # fmt: skip
"""What every description says; the rest may be missing or None."""

LARGEST = 1e9
"""No number of a description is larger."""

TYPICAL_SIDE = 16
"""Rows and columns of a typical knee, as `films.likeness` shrinks knees."""


def check_description(said: Mapping, source: str | os.PathLike) -> None:
    """Refuse a description that no model file of this project holds.

    How knees were cut and prepared, `films.preparation.Preparation.recorded` checks.

    Args:
        said: what `read_description` gives.
        source: what to call the file in a message.

    Raises:
        InputError: an entry is missing, of another type, or out of its range; it names the entry.
    """
    for name, (expected, holds) in _ENTRIES.items():
        value = said.get(name)
        if value is None and name not in GRAPH:
            continue
        if not holds(value):
            received = "nothing" if value is None else f"{value!r:.60}"
            raise InputError(f"{source}: a damaged model file ({name}: expected {expected}. "
                             f"Received: {received})")
    outputs = said["outputs"]
    for name in {said.get("chosen"), *(said.get("temperatures") or {})} - {None}:
        if name not in outputs:
            raise InputError(f"{source}: a damaged model file (expected an output of "
                             f"{', '.join(outputs)}. Received: {name!r:.60})")


def _number(least: float = -LARGEST, most: float = LARGEST) -> Callable[[object], bool]:
    return lambda value: type(value) in (int, float) and least <= value <= most


def _whole(least: int = 0, most: float = LARGEST) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _list_of(holds: Callable[[object], bool], *lengths: int) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, list)
        and (not lengths or len(value) in lengths)
        and all(map(holds, value))
    )


def _is_positive(value: object) -> bool:
    return _number()(value) and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_names(value: object) -> bool:
    return _list_of(_is_text)(value) and all(value) and len(set(value)) == len(value)


def _are_temperatures(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_positive, value.values()))


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
    return all(holds(value[name]) for name, holds in checks.items() if value.get(name) is not None)


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
    "branches": ("different names", _are_names),
    "fusion": ("a name", _is_text),
    "outputs": ("different names", lambda value: _are_names(value) and len(value) > 0),
    "image_size": (
        f"height and width in whole pixels from 1 to {LARGEST_SIDE}",
        _list_of(_whole(1, LARGEST_SIDE), 2),
    ),
    "channels": ("1 or 3", lambda value: type(value) is int and value in (1, 3)),
    "pixel_mean": ("one number or three", _list_of(_number(), 1, 3)),
    "pixel_deviation": ("a number above 0", _is_positive),
    "precision": ("a name", _is_text),
    "name": ("a text", _is_text),
    "chosen": ("a name", _is_text),
    "synthetic": ("true or false", lambda value: isinstance(value, bool)),
    "parameters": ("a whole number", _whole()),
    "imported_from": ("a text", _is_text),
    "temperatures": ("a number above 0 an output", _are_temperatures),
    "typical_knee": (
        f"{TYPICAL_SIDE} rows of {TYPICAL_SIDE} grey levels, and a likeness from -1 to 1",
        _is_typical_knee,
    ),
    "experiment": ("names and values", _is_experiment),
    "results": ("knees, split, and numbers an output", _are_results),
}
