"""From a file with a bilateral film to two files with a knee each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError
from knee_attention.films.radiograph import (
    KNEE_SIZE,
    SMALLEST_SIDE,
    prepare_knee,
    split_knees,
)
from knee_attention.films.reading import is_image_file, read_radiograph
from knee_attention.films.writing import write_image

KNEE_COLUMNS = ["id", "subject", "side", "file", "source"]
"""Columns of the table that goes with a folder of knees."""


@dataclass(frozen=True)
class Cutter:
    """Cut a film file into `<id>_R.png` and `<id>_L.png`, ready for a network.

    Args:
        folder: where the knees go.
        split: `"auto"` or `"middle"`, as `radiograph.split_knees` takes it.
        size: height and width of a knee in pixels.
        fit: `"stretch"` or `"pad"`.
        equalize: `"hist"`, `"clahe"` or `"none"`.
        flip_left: mirror left knees, so that they look like right ones.
    """

    folder: Path
    split: str = "auto"
    size: tuple[int, int] = KNEE_SIZE
    fit: str = "stretch"
    equalize: str = "hist"
    flip_left: bool = False

    def __call__(self, source: Path) -> list[dict]:
        """Write the two knees of a film.

        Returns:
            One row per knee: id, side, file.

        Raises:
            ImageError: no film of two knees can be read from the file.
            InputError: the knees cannot be written.
        """
        if not is_image_file(source):
            raise ImageError(source, f"no image file ({source.suffix or 'no suffix'})")
        film = read_radiograph(source)
        height, width = film.shape
        if height < SMALLEST_SIDE or width < 2 * SMALLEST_SIDE:
            raise ImageError(source, f"too small for a film: {width}x{height} pixels")
        try:
            halves = split_knees(film, self.split)
        except ValueError:
            blank = film.min() == film.max()
            reason = "the image is blank" if blank else "a single knee, or none: not cut"
            raise ImageError(source, reason) from None
        knees = {
            side: prepare_knee(half, self.size, self.fit, self.equalize)
            for side, half in halves.items()
        }
        if not any(knee.any() for knee in knees.values()):
            raise ImageError(source, "the image is blank")
        return [self._write(source.stem, side, knee) for side, knee in knees.items()]

    def _write(self, film: str, side: str, knee: np.ndarray) -> dict:
        if self.flip_left and side == "L":
            knee = knee[:, ::-1]
        name = f"{film}_{side}.png"
        write_image(self.folder / name, knee)
        return {"id": film, "side": side, "file": name}
