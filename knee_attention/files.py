"""Files that appear whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from knee_attention.errors import InputError


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the name `path` when the block ends well.

    The temporary name keeps the suffix, because Keras and OpenCV choose the format by it.

    Raises:
        InputError: the file cannot be written there, or the disk is full.
    """
    path = Path(path)
    make_folder(path.parent)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except BrokenPipeError:  # of what the block printed, not of the file
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(f"{path} cannot be written: {reason}") from None


def make_folder(path: str | os.PathLike) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        InputError: it cannot be made; said before work begins that would be lost.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path} cannot be written: it is a file, not a folder") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write `content` as readable JSON, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file of names and values.

    Raises:
        InputError: a damaged file, or one of something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: a damaged file ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a damaged file, it does not hold names and values")
    return content
