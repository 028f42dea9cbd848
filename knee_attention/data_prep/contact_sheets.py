"""Contact sheets: pages that show the cut of every film, for visual checks."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import cv2
import numpy as np

from knee_attention.files import keep_inputs
from knee_attention.films.image_files import read_image, write_picture

CELL_HEIGHT = 320
"""The height in pixels of a film on a contact sheet."""

FILMS_PER_PAGE = 120
COLUMNS = 6


def page_files(path: Path, films: int) -> list[Path]:
    """The files that `contact_sheets` writes for a number of films; the first is `path`."""
    further = range(2, ceil(films / FILMS_PER_PAGE) + 1)
    return [path, *(path.with_stem(f"{path.stem}-{number}") for number in further)]


def contact_sheets(path: Path, films: Sequence[tuple[str, Path, Path]]) -> list[Path]:
    """Draw the two knees of every film side by side, with a white line at the cut.

    Args:
        path: an image file; pages after the first get a number.
        films: `(id, file of the right knee, file of the left knee)` of each film.

    Returns:
        The files of the pages.

    Raises:
        InputError: a page cannot be written, or would overwrite a knee.
    """
    pages = page_files(path, len(films))
    keep_inputs((knee for _, *knees in films for knee in knees), pages)
    for number, page in enumerate(pages):
        start = number * FILMS_PER_PAGE
        write_picture(page, _page(films[start : start + FILMS_PER_PAGE]))
    return pages


def _page(films: Sequence[tuple[str, Path, Path]]) -> np.ndarray:
    cells = [_cell(*film) for film in films]
    width = max(cell.shape[1] for cell in cells)
    cells = [np.pad(cell, ((0, 0), (0, width - cell.shape[1]))) for cell in cells]
    columns = min(COLUMNS, len(cells))
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)]
    return np.vstack(rows)


def _cell(name: str, right: Path, left: Path) -> np.ndarray:
    """Draw one film, `(CELL_HEIGHT + 24, width)` uint8: right knee, cut, left knee, the id below.
    """
    knees = []
    for path in (right, left):
        knee = read_image(path)
        width = max(1, round(CELL_HEIGHT * knee.shape[1] / knee.shape[0]))
        knees.append(cv2.resize(knee, (width, CELL_HEIGHT), interpolation=cv2.INTER_AREA))
    cut = np.full((CELL_HEIGHT, 3), 255, np.uint8)
    cell = np.pad(np.hstack([knees[0], cut, knees[1]]), ((4, 20), (4, 4)))
    place = (6, CELL_HEIGHT + 18)
    shown = name.encode("utf-8", "replace").decode()  # OpenCV crashes on surrogate characters
    cv2.putText(cell, shown, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    return cell
