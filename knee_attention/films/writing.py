"""Images and tables that appear whole or not at all."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import written_whole


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format its suffix names.

    Args:
        path: the file; its folder is made.
        image: `(height, width)` or `(height, width, 3)`, uint8 or uint16.

    Raises:
        InputError: the file cannot be written there.
    """
    _, content = cv2.imencode(path.suffix, image)
    try:
        with written_whole(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def write_table(path: Path, columns: list[str], rows: Iterable[dict]) -> None:
    """Write rows as a CSV file, whole or not at all; what a row lacks is left blank.

    Raises:
        InputError: the file cannot be written there.
    """
    try:
        with written_whole(path) as beside, _open(beside) as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def _open(path: Path) -> TextIO:
    """A file's name may hold bytes that are no UTF-8; they are written as they are."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


def write_excluded(path: Path, excluded: Iterable[tuple[str, str]]) -> None:
    """Write what was left out as a CSV file with the columns source and reason."""
    rows = ({"source": source, "reason": reason} for source, reason in excluded)
    write_table(path, ["source", "reason"], rows)
