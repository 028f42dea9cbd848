"""The names of knees' files: `<id>_R`, `<id>-L`, or `<id>L` where the id ends in a digit.

So `9001695L.png` is the left knee of 9001695, and `FINAL.png` is no left knee of "FINA".
"""

import os
import re
from pathlib import Path

KNEE_NAME = re.compile(r"(.+?)(?:[_-]|(?<=\d))([RL])")


def id_and_side(file: str | os.PathLike) -> tuple[str, str | None]:
    """The id of a file's name, and the side it ends in: `"R"`, `"L"`, or None without one."""
    stem = Path(file).stem
    found = KNEE_NAME.fullmatch(stem)
    return (found[1], found[2]) if found else (stem, None)


def knee_name(film: str, side: str) -> str:
    """The name of a knee's file, without its suffix, that `id_and_side` takes apart again."""
    return f"{film}_{side}"


def side_of(file: str | os.PathLike) -> str | None:
    """The side of a single knee, by its file's name; None where it says none."""
    return id_and_side(file)[1]


def subject_of(file: str | os.PathLike) -> str:
    """The person of a knee, by its file's name, where nothing else tells: its id."""
    return id_and_side(file)[0]
