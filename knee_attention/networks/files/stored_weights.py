"""Check the stored weights of a model file before memory is allocated for them."""

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import open_hdf5

MOST_INFLATED = 10
"""Largest ratio of the unpacked weights to the size of the file."""

WEIGHTS = "model.weights.h5"
"""Member of a .keras archive with the weights."""


@contextmanager
def open_weights(path: Path) -> Iterator[h5py.File]:
    """Open the HDF5 file of the weights: an `.h5` file, or the member of a `.keras` archive.

    Raises:
        InputError: the weights unpack to far more than the file, or the file links to other files.
    """
    content, size = None, path.stat().st_size
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            refuse_larger(archive, WEIGHTS, MOST_INFLATED * size, path)
            content = BytesIO(archive.read(WEIGHTS))
            size = len(content.getbuffer())
    with open_hdf5(path, content) as file:
        # Keras does not compress weights, so arrays far larger than the file are fake.
        if sum(array.nbytes for array in arrays_in(file)) > MOST_INFLATED * size:
            raise InputError(f"{path}: a damaged model file (its arrays are far larger than the "
                             "file)")
        yield file


def arrays_in(file: h5py.File) -> list[h5py.Dataset]:
    """All arrays of an HDF5 file."""
    found = []
    file.visititems(lambda _, thing: found.append(thing))
    return [thing for thing in found if isinstance(thing, h5py.Dataset)]


def backend_of(file: h5py.File) -> str | None:
    """The Keras backend that wrote an HDF5 file; None if the file does not record it."""
    for group in (file, file.get("model_weights", {})):
        backend = getattr(group, "attrs", {}).get("backend")
        if backend is not None:
            return backend.decode() if isinstance(backend, bytes) else str(backend)
    return None


def arrays_by_layer(
    layer: str, names: Iterable[str | bytes], arrays: Iterable[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """The arrays that Keras stores for a layer, by layer name.

    A nested model (`multi_gpu_model` makes one) is stored as one layer; its arrays are returned by
    the names of its own layers.

    Args:
        layer: name of the layer.
        names: names of the arrays, such as `conv1/kernel:0`.
        arrays: the arrays, in the same order.
    """
    names = [name.decode() if isinstance(name, bytes) else name for name in names]
    owners = [name.rpartition("/")[0] for name in names]
    if len(set(owners)) < 2:
        return {layer: list(arrays)}
    named = {}
    for owner, array in zip(owners, arrays, strict=True):
        named.setdefault(owner, []).append(array)
    return named


def refuse_larger(archive: zipfile.ZipFile, name: str, most: int, path: Path) -> None:
    """Refuse a member of an archive that unpacks to more than `most` bytes.

    A small archive may unpack to gigabytes.

    Raises:
        InputError: it is larger.
    """
    size = archive.getinfo(name).file_size
    if size > most:
        raise InputError(f"{path}: a damaged model file ({name} unpacks to {size / 1e6:.0f} MB)")


def refuse_not_finite(layer: str, arrays: Iterable[np.ndarray], path: Path) -> None:
    """Refuse NaN and infinity, which a pool or a ReLU may turn into plausible numbers.

    Raises:
        InputError: the weights of this layer contain NaN or infinity.
    """
    if not all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f"):
        raise InputError(f"{path}: the weights of {layer} are not all finite numbers")
