"""Cutting a bilateral film into two files, one per knee, and contact sheets that show the cuts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import cv2
import numpy as np

from knee_attention.files import keep_inputs
from knee_attention.films.borders import Frame, without_frame
from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import (
    read_image,
    read_radiograph,
    refuse_other_file,
    write_image,
    write_picture,
)
from knee_attention.films.joint_crops import joint_crops
from knee_attention.films.legs import knee_name, split_knees
from knee_attention.films.pixel_aspect import recorded_aspect
from knee_attention.films.polarity import bone_bright, refused
from knee_attention.limits import SMALLEST_SIDE

KNEE_COLUMNS = ["id", "subject", "side", "file", "source", "inverted", "pixel_aspect", "trimmed"]
"""Columns of knees.csv. `inverted` is "yes" for a negative. pixel_aspect is height over width
of the film's pixels; it is blank if they are square. Such a film is resampled before it is cut.
trimmed is the width of the border of one grey that was cut off at the left, top, right and bottom.
"""

BOX_COLUMNS = ["score", "x", "y", "width", "height"]
"""Further columns of knees.csv for crops of joints: the joint's score, and the box of the crop in
pixels of the film."""


@dataclass(frozen=True)
class Cutter:
    """Cuts a film file into `<id>_R.png` and `<id>_L.png`.

    Args:
        folder: the folder for the knees.
        cutting: how the knees are cut.
        polarity: `"auto"` inverts photographic negatives, `"as-is"` keeps every film as it is.
    """

    folder: Path
    cutting: Cutting = Cutting()
    polarity: str = "auto"

    def __call__(self, source: Path) -> list[dict]:
        """Write the two knees of a film.

        Returns:
            One row per knee with the columns id, side, file, inverted, pixel_aspect and trimmed;
            for crops also `BOX_COLUMNS`.

        Raises:
            ImageError: the file cannot be read, or does not show two knees.
            InputError: the knees cannot be written.
        """
        refuse_other_file(source)
        film, aspect = read_radiograph(source)
        film, inverted = bone_bright(film, self.polarity)
        try:
            within, frame = without_frame(film)
            knees = self._cut(within, frame)
        except ValueError as error:
            raise refused(source, error, inverted) from None
        changes = {"inverted": "yes" if inverted else "", "pixel_aspect": recorded_aspect(aspect),
                   "trimmed": " ".join(map(str, frame.pixels)) if frame else ""}
        return [
            {**self._write(source.stem, side, knee), **columns, **changes}
            for side, knee, columns in knees
        ]

    def _cut(self, film: np.ndarray, frame: Frame) -> list[tuple[str, np.ndarray, dict]]:
        """The side, the prepared image and the `BOX_COLUMNS` of each knee.

        Raises:
            ValueError: the film does not show two knees.
        """
        height, width = film.shape
        if height < SMALLEST_SIDE or width < 2 * SMALLEST_SIDE:
            raise ValueError(f"too small for a film: {width}x{height} pixels")
        if film.min() == film.max():
            raise ValueError("the image is blank")
        knees = [
            (side, self.cutting.knee(part, side), columns)
            for side, part, columns in self._parts(film, frame)
        ]
        if not any(knee.any() for _, knee, _ in knees):
            raise ValueError("the image is blank")
        return knees

    def _parts(self, film: np.ndarray, frame: Frame) -> list[tuple[str, np.ndarray, dict]]:
        """The side and the image of each knee, and the `BOX_COLUMNS` of a crop.

        Raises:
            ValueError: the film does not show two knees.
        """
        if self.cutting.crop == "half":
            try:
                halves = split_knees(film, self.cutting.split)
            except ValueError:
                raise ValueError("the film shows a single knee or none") from None
            return [(side, half, {}) for side, half in halves.items()]
        parts = []
        for crop in joint_crops(film, "bilateral", self.cutting.crop):
            values = f"{crop.joint.score:.3f}", *frame.moved(crop.box)
            parts.append((crop.side, crop.image, dict(zip(BOX_COLUMNS, values, strict=True))))
        return parts

    def _write(self, film: str, side: str, knee: np.ndarray) -> dict:
        name = f"{knee_name(film, side)}.png"
        write_image(self.folder / name, knee)
        return {"id": film, "side": side, "file": name}


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
