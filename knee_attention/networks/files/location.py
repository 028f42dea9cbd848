"""The file of a model: where it lies, its digest, and whether it was replaced."""

import hashlib
import os
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import RUN_MODEL

FOLDER = Path(__file__).parents[2] / "pretrained"
DEFAULT = "kneekl-vgg16-multiloss"
"""The model that `grade`, `serve` and `node` use by default."""


def model_path(given: str | os.PathLike, suffix: str = ".h5") -> Path:
    """The file of a shipped model, if `given` is the name of one; otherwise `given` as a path.

    A file or folder with that name in the working directory takes precedence.

    Args:
        given: a path, or the name of a model that ships, with or without the suffix of its file.
        suffix: the file that a name without a suffix means: `.h5` for Keras, `.onnx` for OpenCV.
    """
    is_name = Path(given).name == str(given) and not Path(given).exists()
    for shipped in (FOLDER / f"{given}{suffix}", FOLDER / given) if is_name else ():
        if shipped.suffix in (".h5", ".onnx") and shipped.is_file():
            return shipped
    return Path(given)


def existing_model_file(path: str | os.PathLike) -> Path:
    """The path of a Keras model file.

    Args:
        path: a file, a run's folder (for its `model.h5`), or the name of a model that ships with
            the package.

    Raises:
        InputError: no such file, an ONNX file, an empty file, or a Git LFS pointer.
    """
    path = model_path(path)
    if path.is_dir():
        path = path / RUN_MODEL
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix.lower() == ".onnx":
        raise InputError(f"{path}: expected an .h5 or .keras file, not an ONNX file")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a Git LFS pointer, not the model; run git lfs pull")
    if not start:
        raise InputError(f"{path}: the file is empty")
    return path


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as a hexadecimal string.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def refuse_replaced(path: Path, digest: str) -> None:
    """Refuse a model file that changed after it was read.

    Args:
        path: the file.
        digest: the result of `file_digest` when the model was read.

    Raises:
        InputError: the file was replaced or changed, or cannot be read.
    """
    if file_digest(path) != digest:
        raise InputError(f"{path}: replaced since the model was read; load it again")
