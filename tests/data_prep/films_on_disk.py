"""Folders of phantom films for tests."""

import csv
from pathlib import Path

import cv2

from knee_attention.phantoms.film import phantom_film


def write_films(folder: Path, count: int, height: int = 160) -> Path:
    """Write films S000.png, S001.png, ... into a folder; return the table of their grades."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        grades = index % 5, (index // 2) % 5
        name = f"S{index:03d}"
        cv2.imwrite(str(folder / f"{name}.png"), phantom_film(grades, index, height).image)
        rows += [(name, "R", grades[0]), (name, "L", grades[1])]
    table = folder.with_suffix(".csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "side", "kl"), *rows])
    return table


def read_rows(path: Path) -> list[dict]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def account_of(printed: str) -> tuple[int, int, int]:
    """The printed numbers of files found, written and excluded."""
    words = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    found, written, excluded = (int(words[name][1]) for name in ("found", "written", "excluded"))
    assert found == written + excluded
    return found, written, excluded
