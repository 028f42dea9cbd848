"""Writing a training set as one HDF5 file; `datasets.hdf5` defines the format and reads it."""

import glob
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from knee_attention.datasets.hdf5 import FORMAT, TEXTS
from knee_attention.errors import InputError
from knee_attention.files import KEPT_OF_NAME, open_hdf5, remove_remains, written_whole
from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import read_image
from knee_attention.films.radiograph import to_uint8


def write_hdf5(
    path: Path, rows: Sequence[dict], folder: Path, cutting: Cutting | None = None
) -> bool:
    """Write the knees of a training set into one HDF5 file, with one chunk per image.

    Args:
        path: the file.
        rows: the rows of the set's manifest, with pixels, height and width of each knee.
        folder: the training set's folder.
        cutting: how the knees were cut; None if unknown.

    Returns:
        False if the file already exists with the same knees.

    Raises:
        InputError: the knees differ in size, the file cannot be written, or another file has its
            name.
        ImageError: a knee cannot be read.
    """
    import h5py
    from tqdm import tqdm

    shapes = sorted({(row["height"], row["width"]) for row in rows})
    if len(shapes) > 1:
        sizes = ", ".join(f"{height}x{width}" for height, width in shapes[:4])
        raise InputError(f"{path}: expected knees of one size. Received: {sizes}")
    identity = [[row["file"], row["subject"], row["pixels"]] for row in rows]
    if cutting:
        identity.append(cutting.described())
    fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    try:
        remove_remains(path.parent.glob(f".*.{glob.escape(path.name[-KEPT_OF_NAME:])}"))
        if _fingerprint(path) == fingerprint:
            return False
        with (
            written_whole(path) as temporary,
            _ErrorKeepingFile(temporary, "w+") as raw,
            h5py.File(raw, "w") as file,
        ):
            file.attrs.update(format=FORMAT, fingerprint=fingerprint)
            if cutting:
                file.attrs["cutting"] = json.dumps(cutting.described())
            shape = (len(rows), *shapes[0])
            images = file.create_dataset("images", shape, np.uint8, chunks=(1, *shapes[0]))
            for index, row in enumerate(tqdm(rows, desc=path.name)):
                raw.raise_failure()
                image = read_image(folder / row["file"])
                images[index] = image if image.dtype == np.uint8 else to_uint8(image)
            file["grades"] = np.array([row["kl"] for row in rows], np.int8)
            for name in TEXTS:
                values = [str(row[name.removesuffix("s")]) for row in rows]
                file.create_dataset(name, data=values, dtype=h5py.string_dtype("utf-8"))
            file.flush()
            raw.raise_failure()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    return True


class _ErrorKeepingFile(io.FileIO):
    """A file that stores the first write error instead of raising it.

    HDF5 crashes at the end of the process after a failed write, such as on a full disk.
    """

    _failure: OSError | None = None

    def write(self, content) -> int:
        rest = memoryview(content).cast("B")
        while len(rest) and not self._failure:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self._failure = error
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._failure = self._failure or error
            return size

    def raise_failure(self) -> None:
        """Raise the stored OSError, if any."""
        if self._failure:
            raise self._failure


def _fingerprint(path: Path) -> str | None:
    """The fingerprint of an existing training set; None if the file does not exist."""
    import h5py

    if not path.exists():
        return None
    if h5py.is_hdf5(path):
        with open_hdf5(path) as file:
            if file.attrs.get("format") == FORMAT and "fingerprint" in file.attrs:
                return file.attrs["fingerprint"]
    raise InputError(f"{path}: the file exists and is not a training set that make_dataset.py "
                     "wrote; choose another name")
