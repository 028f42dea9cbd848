"""Copies of a model file: with float16 weights, or with another description."""

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import open_hdf5, written_whole
from knee_attention.networks.files.description import DESCRIPTION, check_description


def copy_with_description(source: Path, path: Path, description: Mapping) -> None:
    """Copy a model file and replace its description. The copy appears whole or not at all.

    Args:
        source: an `.h5`, `.keras` or `.onnx` file of this project.
        path: the file to write, with the same suffix.
        description: the new one, as `read_description` returns it.

    Raises:
        InputError: an invalid description, a file that cannot be written, or an ONNX file without
            the package onnx.
    """
    check_description(description, path)
    text = json.dumps(description)
    with written_whole(path) as beside:
        _COPIERS.get(source.suffix.lower(), _copy_hdf5)(source, beside, text)


def _copy_hdf5(source: Path, beside: Path, text: str) -> None:
    shutil.copyfile(source, beside)
    with h5py.File(beside, "a") as file:
        file.attrs[DESCRIPTION] = text


def _copy_keras(source: Path, beside: Path, text: str) -> None:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(beside, "w") as after:
        for member in before.infolist():
            if member.filename != f"{DESCRIPTION}.json":
                after.writestr(member, before.read(member))
        after.writestr(f"{DESCRIPTION}.json", text)


def _copy_onnx(source: Path, beside: Path, text: str) -> None:
    from knee_attention.networks.files.onnx_export import onnx_package

    onnx = onnx_package()
    model = onnx.load(source)
    onnx.helper.set_model_props(model, {DESCRIPTION: text})
    onnx.save(model, beside)


_COPIERS = {".keras": _copy_keras, ".onnx": _copy_onnx}


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
