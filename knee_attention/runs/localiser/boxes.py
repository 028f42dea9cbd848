"""Read tables of joint boxes, in two layouts.

The project's own layout is a CSV file with the columns file, side (R, L or empty), x1, y1, x2, y2,
and optionally split (train, validation or test) and remark. Coordinates are pixels of the film as
it is read: upright, with square pixels. The boxes are square crops like those of the public knee
set, or joint boxes with `kind="joint"`.

The public layout (github.com/denizlab/OAI-KL-Grade-Classification, data/detector/*.csv) has one row
per OAI film: a path such as `/train/0.C.2_9000296_20040729_00175004_001.h5`, then x1, y1, x2, y2 of
the left and of the right knee as fractions of the film's width and height. They are joint boxes.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knee_attention.datasets.layout import SPLITS
from knee_attention.errors import InputError
from knee_attention.films.joints import Box, box_of_square

OUR_COLUMNS = ("file", "side", "x1", "y1", "x2", "y2")
PERSON = re.compile(r"(?<!\d)(\d{7})(?!\d)")
"""Identifier of an OAI person in a file name."""


@dataclass(frozen=True)
class TableRow:
    """One box of a table.

    Attributes:
        place: table and line, for messages.
        side: the patient's side, `"R"`, `"L"` or None.
        corners: x1, y1, x2, y2.
        unsure: whether its remark contains `unsure`.
    """

    place: str
    side: str | None
    corners: Sequence[float]
    unsure: bool = False


@dataclass
class BoxedImage:
    """A film in a table, with its boxes.

    Attributes:
        path: the film.
        split: `"train"`, `"validation"` or `"test"`; None if the table has no splits.
        rows: one or more boxes.
        as_parts: whether corners are fractions of the film's width and height instead of pixels.
        kind: kind of the boxes, one of `BOX_KINDS`.
    """

    path: Path
    split: str | None
    as_parts: bool = False
    kind: str = "square"
    rows: list[TableRow] = field(default_factory=list)

    @property
    def sides(self) -> list[str | None]:
        """The patient's side of each box."""
        return [row.side for row in self.rows]

    @property
    def unsure(self) -> bool:
        """Whether a box of the film is marked as unsure."""
        return any(row.unsure for row in self.rows)

    def in_pixels(self, shape: tuple[int, int]) -> list[Box]:
        """The joint boxes in pixels.

        Args:
            shape: height and width of the film.

        Raises:
            InputError: a box without area, or with its centre outside the film.
        """
        height, width = shape
        boxes = []
        for row in self.rows:
            scale = (width, height) * 2 if self.as_parts else (1, 1, 1, 1)
            x1, y1, x2, y2 = (value * by for value, by in zip(row.corners, scale, strict=True))
            if x2 <= x1 or y2 <= y1:
                raise InputError(f"{row.place}: a box without area ({x1:g}, {y1:g} to {x2:g}, "
                                 f"{y2:g})")
            if not (0 <= x1 + x2 <= 2 * width and 0 <= y1 + y2 <= 2 * height):
                raise InputError(f"{row.place}: a box with its centre outside {self.path.name}, "
                                 f"which has {width}x{height} pixels ({x1:g}, {y1:g} to {x2:g}, "
                                 f"{y2:g})")
            box = (x1, y1, x2 - x1, y2 - y1)
            boxes.append(box_of_square(box) if self.kind == "square" else box)
        return boxes


def read_joint_boxes(table: Path, films: Path, kind: str = "square") -> list[BoxedImage]:
    """Read a table of joint boxes.

    Args:
        table: a CSV file of either layout.
        films: folder of the films. The public layout finds films at any depth.
        kind: kind of the boxes in the project's own layout, `"square"` or `"joint"`.

    Returns:
        the films with their boxes, in the table's order. Films of a public table that are not in
        the folder are skipped.

    Raises:
        InputError: no such table, an unknown layout, a missing film (in the public layout: all
            films missing), an unknown side or split, two boxes for one side, or two splits for one
            film.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as error:
        raise InputError(f"{table}: {error.strerror or 'cannot be read'}") from None
    except (csv.Error, UnicodeDecodeError):
        raise InputError(f"{table}: not a CSV file") from None
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    if set(OUR_COLUMNS) <= set(header):
        named = [(line, dict(zip(header, row, strict=False))) for line, row in rows[1:]]
        found = _ours(table, films, named, kind)
    else:
        found = _public(table, films, rows)
    if not found:
        raise InputError(f"{table}: none of its films is in {films}")
    return found


def person_of(name: str) -> str:
    """The person of a film, so that all films of a person get the same split.

    Args:
        name: file name without suffix. Names without an OAI identifier are persons of their own.
    """
    known = PERSON.search(name)
    return known[1] if known else name


def _ours(
    table: Path, films: Path, rows: list[tuple[int, dict]], kind: str
) -> list[BoxedImage]:
    found: dict[Path, BoxedImage] = {}
    for line, row in rows:
        place = f"{table}, line {line}"
        name, side, split, remark = (
            str(row.get(column) or "").strip() for column in ("file", "side", "split", "remark")
        )
        path = films / name
        if not name or not path.is_file():
            raise InputError(f"{place}: no film {name!r} in {films}")
        if side.upper() not in ("R", "L", ""):
            raise InputError(f"{place}: expected R, L or nothing as side. Received: {side!r}")
        if split not in (*SPLITS, ""):
            raise InputError(f"{place}: expected {', '.join(SPLITS)} or nothing as split. "
                             f"Received: {split!r}")
        side = side.upper() or None
        film = found.setdefault(path, BoxedImage(path, split or None, kind=kind))
        if side and side in film.sides:
            raise InputError(f"{place}: a second box for side {side} of {name}")
        if film.split != (split or None):
            raise InputError(f"{place}: {name} is in two splits")
        corners = _numbers(place, [row.get(column, "") for column in OUR_COLUMNS[2:]])
        film.rows.append(TableRow(place, side, corners, "unsure" in remark.lower()))
    if len({film.split is None for film in found.values()}) > 1:
        raise InputError(f"{table}: only some films have a split; give all films a split, or none")
    return list(found.values())


def _public(table: Path, films: Path, rows: list[tuple[int, list[str]]]) -> list[BoxedImage]:
    there = {path.stem: path for path in sorted(films.rglob("*")) if path.is_file()}
    found: dict[Path, BoxedImage] = {}
    read = 0
    for line, row in rows:
        at = next((k for k, cell in enumerate(row) if cell.strip().endswith(".h5")), None)
        if at is None:
            continue
        read += 1
        place = f"{table}, line {line}"
        stem = Path(row[at].strip()).stem
        path = there.get(stem) or there.get(person_of(stem))
        if path is None:
            continue
        if path in found:
            raise InputError(f"{place}: a second row for {path.name}")
        corners = _numbers(place, row[at + 1 : at + 9], 8)
        both = [TableRow(place, "L", corners[:4]), TableRow(place, "R", corners[4:])]
        found[path] = BoxedImage(path, None, as_parts=True, kind="joint", rows=both)
    if not read:
        raise InputError(f"{table}: expected the columns {', '.join(OUR_COLUMNS)}, or the public "
                         "table of OAI films")
    return list(found.values())


def _numbers(place: str, cells: list[str], count: int = 4) -> list[float]:
    try:
        values = [float(cell) for cell in cells]
        if len(values) == count and all(abs(value) < 1e6 for value in values):
            return values
    except (TypeError, ValueError):
        pass
    raise InputError(f"{place}: expected {count} numbers for a box. Received: {cells}")
