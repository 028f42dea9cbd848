"""File names of knees: `<id>_R`, `<id>-L`, or `<id>L` if the id ends in a digit.

`9001695L.png` is the left knee of 9001695, but `FINAL.png` is not the left knee of "FINA".
"""

import os
import re
from pathlib import Path

KNEE_NAME = re.compile(r"(.+?)(?:[_-]|(?<=\d))([RL])")


def id_and_side(file: str | os.PathLike) -> tuple[str, str | None]:
    """The id in a file's name, and the side at its end: `"R"`, `"L"`, or None."""
    stem = Path(file).stem
    found = KNEE_NAME.fullmatch(stem)
    return (found[1], found[2]) if found else (stem, None)


def knee_name(film: str, side: str) -> str:
    """The name of a knee's file without suffix; the inverse of `id_and_side`."""
    return f"{film}_{side}"


def side_of(file: str | os.PathLike) -> str | None:
    """The side in a file's name, `"R"` or `"L"`; None without one."""
    return id_and_side(file)[1]


def subject_of(file: str | os.PathLike) -> str:
    """The person of a knee by its file's name alone: the id in it."""
    return id_and_side(file)[0]
