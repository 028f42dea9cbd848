"""Model files of half the size, with float16 weights, to ship inside the package."""

from pathlib import Path

import h5py
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import open_hdf5, written_whole


def write_half_size(source: Path, path: Path) -> None:
    """Copy an `.h5` model with its weights rounded to float16.

    `load_model` reads them back into float32 variables. The file appears whole or not at all.

    Args:
        source: an `.h5` file of `save_model`.
        path: the file to write.

    Raises:
        InputError: a weight is too large for float16.
    """
    with open_hdf5(source) as whole, written_whole(path) as beside, h5py.File(beside, "w") as half:
        half.attrs.update(whole.attrs)

        def copy(name: str, thing: h5py.Group | h5py.Dataset) -> None:
            if isinstance(thing, h5py.Group):
                half.require_group(name).attrs.update(thing.attrs)
                return
            with np.errstate(over="ignore"):  # the check below reports it
                rounded = np.asarray(thing).astype(np.float16)
            if not np.isfinite(rounded).all():
                raise InputError(f"{source}: {name} has weights too large for float16")
            half[name] = rounded

        whole.visititems(copy)
