"""Tables of joint boxes: our own, and the public one of OAI films.

Ours is a CSV file with the columns file, side (R or L), x1, y1, x2, y2 in pixels of the film as it
is read, upright and with square pixels. The public one
(github.com/denizlab/OAI-KL-Grade-Classification, data/detector/*.csv) has a film a row:
a path such as `/train/0.C.2_9000296_20040729_00175004_001.h5`, then x1, y1, x2, y2 of the left and
of the right knee as parts of the film's width and height.
"""

import csv
import re
from collections.abc import Callable
from pathlib import Path

from knee_attention.errors import InputError

OUR_COLUMNS = ("file", "side", "x1", "y1", "x2", "y2")
PERSON = re.compile(r"(?<!\d)(\d{7})(?!\d)")
"""An OAI person in a file's name; of other names the whole counts as the person."""

Boxes = dict[str, tuple[float, float, float, float]]
"""By side, left, top, width and height in pixels."""


def read_joint_boxes(
    table: Path, films: Path, size_of: Callable[[Path], tuple[int, int]]
) -> dict[Path, Boxes]:
    """The joint boxes of the films of a folder.

    Args:
        table: a CSV file of either kind.
        films: the folder that the films lie in, at any depth.
        size_of: gives height and width of a film in pixels.

    Returns:
        `{film: its boxes}`, in the table's order. Of the public table, which names more films than
        most disks hold, those that are there; at least one.

    Raises:
        InputError: no such table, another layout, a film that is not there (of our own table, or
            all of the public one), a side other than R and L, two boxes for one side, a box
            without area or beyond the film.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except OSError as error:
        raise InputError(f"{table}: {error.strerror or 'cannot be read'}") from None
    except (csv.Error, UnicodeDecodeError):
        raise InputError(f"{table}: no table of text") from None
    header = [name.strip().lower() for name in rows[0]] if rows else []
    if set(OUR_COLUMNS) <= set(header):
        named = [dict(zip(header, row, strict=False)) for row in rows[1:]]
        found = _ours(table, films, named)
    else:
        found = _public(table, films, rows)
    if not found:
        raise InputError(f"{table}: none of its films lies in {films}")
    boxes = {}
    for path, sides in found.items():
        boxes[path] = _in_pixels(table, path, sides, size_of(path))
    return boxes


def person_of(name: str) -> str:
    """The person a film shows, by its file's name without suffix; films of one person never part
    between splits."""
    known = PERSON.search(name)
    return known[1] if known else name


def _ours(table: Path, films: Path, rows: list[dict]) -> dict[Path, dict]:
    found: dict[Path, dict] = {}
    for number, row in enumerate(rows, start=2):
        place = f"{table}, line {number}"
        name, side = (str(row.get(column) or "").strip() for column in ("file", "side"))
        path = films / name
        if not name or not path.is_file():
            raise InputError(f"{place}: there is no film {name!r} in {films}")
        side = side.upper()
        if side not in ("R", "L"):
            raise InputError(f"{place}: the side is R or L. Received: {side!r}")
        if side in found.setdefault(path, {}):
            raise InputError(f"{place}: a second box for side {side} of {name}")
        corners = _numbers(place, [row.get(column, "") for column in OUR_COLUMNS[2:]])
        found[path][side] = (place, corners, False)
    return found


def _public(table: Path, films: Path, rows: list[list[str]]) -> dict[Path, dict]:
    there = {path.stem: path for path in sorted(films.rglob("*")) if path.is_file()}
    found: dict[Path, dict] = {}
    read = 0
    for number, row in enumerate(rows, start=1):
        at = next((k for k, cell in enumerate(row) if cell.strip().endswith(".h5")), None)
        if at is None:
            continue
        read += 1
        place = f"{table}, line {number}"
        stem = Path(row[at].strip()).stem
        person = person_of(stem)
        path = there.get(stem) or there.get(person)
        if path is None:
            continue
        if path in found:
            raise InputError(f"{place}: a second row for {path.name}")
        corners = _numbers(place, row[at + 1 : at + 9], 8)
        found[path] = {"L": (place, corners[:4], True), "R": (place, corners[4:], True)}
    if not read:
        raise InputError(f"{table}: expected the columns {', '.join(OUR_COLUMNS)}, or the public "
                         "table of OAI films")
    return found


def _numbers(place: str, cells: list[str], count: int = 4) -> list[float]:
    try:
        values = [float(cell) for cell in cells]
        if len(values) == count and all(abs(value) < 1e6 for value in values):
            return values
    except (TypeError, ValueError):
        pass
    raise InputError(f"{place}: expected {count} numbers for a box. Received: {cells}")


def _in_pixels(table: Path, film: Path, sides: dict, size: tuple[int, int]) -> Boxes:
    height, width = size
    boxes = {}
    for side, (place, corners, as_parts) in sides.items():
        scale = (width, height) * 2 if as_parts else (1, 1, 1, 1)
        x1, y1, x2, y2 = (value * by for value, by in zip(corners, scale, strict=True))
        if x2 <= x1 or y2 <= y1:
            raise InputError(f"{place}: a box without area ({x1:g}, {y1:g} to {x2:g}, {y2:g})")
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            raise InputError(f"{place}: a box that reaches beyond {film.name}, which has "
                             f"{width}x{height} pixels ({x1:g}, {y1:g} to {x2:g}, {y2:g})")
        boxes[side] = (x1, y1, x2 - x1, y2 - y1)
    return boxes
