"""Copy a model file with another description; the weights stay as they are, byte for byte."""

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import written_whole
from knee_attention.networks.files.description import check_description
from knee_attention.networks.files.onnx_network import DESCRIPTION


def copy_with_description(source: Path, path: Path, description: Mapping) -> None:
    """Copy a model file and replace its description. The copy appears whole or not at all.

    Args:
        source: an `.h5`, `.keras` or `.onnx` file of this project.
        path: the file to write, with the same suffix.
        description: the new description, as the file's own is read.

    Raises:
        InputError: another suffix, an invalid description, a file that cannot be written, or an
            ONNX file without the package onnx.
    """
    suffix = source.suffix.lower()
    if path.suffix.lower() != suffix:
        raise InputError(f"{path}: expected a name that ends in {suffix}, as {source.name} does")
    check_description(description, path)
    text = json.dumps(description)
    with written_whole(path) as beside:
        _COPIERS.get(suffix, _copy_hdf5)(source, beside, text)


def _copy_hdf5(source: Path, beside: Path, text: str) -> None:
    import h5py

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
