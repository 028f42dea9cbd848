"""The file of a model: where it lies, and whether it is replaced while the model is in use."""

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
        raise InputError(f"{path}: an ONNX file can only grade; give the .h5 or .keras file")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a Git LFS pointer, not the model; run git lfs pull")
    if not start:
        raise InputError(f"{path}: the file is empty")
    return path


class LoadedFile:
    """The identity of a model's file.

    Create it before reading the model, so that it notices a replacement during the reading.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._identity = _identity(path)
        self._digest: str | None = None

    def refuse_replaced(self) -> None:
        """Refuse a file that changed since this object was created.

        Raises:
            InputError: the file was replaced, changed or removed.
        """
        if _identity(self.path) != self._identity:
            raise InputError(f"{self.path}: replaced since the model was read; load it again")

    def digest(self) -> str:
        """SHA-256 of the file, as a hexadecimal string.

        It is computed once. A replacement after the first call changes nothing.

        Raises:
            InputError: the file was replaced before the first call.
        """
        if self._digest is None:
            self.refuse_replaced()
            digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
            self.refuse_replaced()
            self._digest = digest
        return self._digest


def _identity(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
