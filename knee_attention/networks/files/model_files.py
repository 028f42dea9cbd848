"""Model files: each says what it is, and nothing in it is ever executed.

A `.h5` or `.keras` file of Keras can carry code (a Lambda) or name classes to be imported. Here its
configuration is only read as JSON; the graph is rebuilt by `build_model` and takes the file's
arrays.
"""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import RUN_MODEL, open_hdf5, written_whole
from knee_attention.networks.files.description import check_description
from knee_attention.networks.files.graphs import graph_description
from knee_attention.networks.files.shipped import model_path
from knee_attention.networks.files.stored_weights import (
    arrays_by_layer,
    arrays_in,
    backend_of,
    open_weights,
    refuse_larger,
    refuse_not_finite,
)
from knee_attention.networks.model import build_model

DESCRIPTION = "knee_attention"
"""Where a file describes itself: an attribute of an .h5 file, and of .onnx metadata; in a .keras
archive the member of this name with the suffix .json."""

LARGEST_TEXT = 2**24
"""Bytes of a configuration or description in a .keras archive; a hundredth is usual."""

HEADING = 1_000_000
"""More bytes than a model file has besides its weights."""


def save_model(model: keras.Model, path: str | os.PathLike, description: Mapping) -> None:
    """Write a model without its optimizer, whole or not at all.

    Args:
        model: one of `build_model`.
        path: an `.h5` or `.keras` file.
        description: what the file shall say of itself besides its graph: name, chosen output,
            preparation, experiment, results; anything JSON can hold.
    """
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    with written_whole(path) as beside:
        # HDF5 itself crashes where a disk is full: as many bytes, and its heading, find out first.
        beside.write_bytes(bytes(4 * model.count_params() + HEADING))
        uncompiled.save(beside)
        if beside.suffix == ".keras":
            with zipfile.ZipFile(beside, "a") as archive:
                archive.writestr(f"{DESCRIPTION}.json", json.dumps(description))
        else:
            with h5py.File(beside, "a") as file:
                file.attrs[DESCRIPTION] = json.dumps(description)


def load_model(path: str | os.PathLike) -> keras.Model:
    """Rebuild a saved model.

    Args:
        path: an `.h5` or `.keras` file of a model of `build_model`.

    Returns:
        The model, uncompiled, in the precision it was saved with.

    Raises:
        InputError: no such file, a damaged one, or no model of this project.
    """
    path = existing_model_file(path)
    description = read_description(path)
    with _damage_told(path):
        _refuse_too_few_weights(description, path)
        model = empty_model(description)
        if path.suffix == ".keras":
            with open_weights(path):  # refuses what Keras would read without a look at it
                model.load_weights(path)
            for layer in model.layers:
                refuse_not_finite(layer.name, layer.get_weights(), path)
        else:
            set_all_weights(model, layer_weights(path), path)
    return model


def empty_model(description: Mapping) -> keras.Model:
    """A model with the graph that a description of `read_description` names, and new weights.

    Raises:
        InputError: there is no such graph.
    """
    try:
        return build_model(
            description["backbone"],
            tuple(description["branches"]),
            description["fusion"],
            tuple(description["image_size"]),
            description["channels"],
            tuple(description["pixel_mean"]),
            description["pixel_deviation"],
            description["precision"],
        )
    except ValueError as error:
        raise InputError(f"no model of this project: {error}") from None


def set_all_weights(model: keras.Model, weights: Mapping, source: Path) -> None:
    """Give every layer its arrays.

    Raises:
        InputError: a layer's arrays are missing or of another shape; it names them.
    """
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        given = weights.get(layer.name, [])
        if [array.shape for array in given] != shapes:
            raise InputError(
                f"{source}: the weights of {layer.name} do not fit, "
                f"{[array.shape for array in given]} for {shapes}"
            )
        if shapes:
            layer.set_weights(given)


def layer_weights(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """The arrays of an `.h5` file by layer name, both in the file's order.

    Kernels that Theano wrote are turned: it convolves, where every other backend correlates.

    Args:
        path: a whole model or weights alone, as Keras 2 and 3 write them.

    Raises:
        InputError: no such file, not an HDF5 file, a damaged one, or weights that are not finite.
    """
    path = existing_model_file(path)
    with _damage_told(path), open_weights(path) as file:
        root = file["model_weights"] if "model_weights" in file else file
        turned = backend_of(file) == "theano"
        named: dict[str, list[np.ndarray]] = {}
        for layer in root.attrs.get("layer_names", root):
            layer = layer.decode() if isinstance(layer, bytes) else layer
            group = root[layer]
            if not isinstance(group, h5py.Group) or "weight_names" not in group.attrs:
                continue
            names = group.attrs["weight_names"]
            stored = [np.asarray(group[name]) for name in names]
            if stored:
                refuse_not_finite(layer, stored, path)
                if turned:
                    stored = [array[::-1, ::-1] if array.ndim == 4 else array for array in stored]
                named |= arrays_by_layer(layer, names, stored)
    return named


def read_description(path: str | os.PathLike) -> dict:
    """What a model file says of itself.

    Returns:
        Of its graph: `backbone`, `branches`, `fusion`, `outputs`, `image_size`, `channels`,
        `pixel_mean`, `pixel_deviation`, `precision`; and what was given to `save_model`.

    Raises:
        InputError: no such file, a damaged one, or no model of this project.
    """
    path = existing_model_file(path)
    with _damage_told(path):
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                name = f"{DESCRIPTION}.json"
                texts = {"config.json", name} & set(archive.namelist())
                for text in texts:
                    refuse_larger(archive, text, LARGEST_TEXT, path)
                said = archive.read(name) if name in texts else "{}"
                config = archive.read("config.json")
        else:
            with open_hdf5(path) as file:
                if "model_config" not in file.attrs:
                    raise InputError(f"{path}: weights alone, no model; a file of the original "
                                     "code becomes one by knee-attention import-legacy")
                said, config = file.attrs.get(DESCRIPTION, "{}"), file.attrs["model_config"]
        said, config = json.loads(said), json.loads(config)
        try:
            whole = {**said, **graph_description(config)}
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError):
            raise InputError(f"{path}: no model of this project; a file of the original code "
                             "becomes one by knee-attention import-legacy") from None
        check_description(whole, path)
        return whole


def _refuse_too_few_weights(description: Mapping, path: Path) -> None:
    """Refuse a graph with more weights than its file holds, before memory is taken for them.

    With attention branches a graph is never large. The dense layers of a baseline have a weight for
    each feature of each position, and a small file may ask for images that need gigabytes.

    Raises:
        InputError: the file holds fewer.
    """
    if description["branches"]:
        return

    def count_weights() -> int:
        with keras.StatelessScope(initialize_variables=False):
            return empty_model(description).count_params()

    with ThreadPoolExecutor(1) as pool:  # Keras keeps the unused variables until a thread ends
        needed = pool.submit(count_weights).result()
    with open_weights(path) as file:
        held = sum(array.size for array in arrays_in(file))
    if needed > held:
        raise InputError(f"{path}: a damaged model file (its graph has {needed:,} weights, the "
                         f"file holds {held:,})")


def existing_model_file(path: str | os.PathLike) -> Path:
    """The path, if it leads to a file that may be a model; of a run's folder, its `model.h5`; of a
    name in `pretrained/`, the file that ships with the package.

    Raises:
        InputError: nothing there, a folder, an empty file, or a pointer left by Git LFS.
    """
    path = model_path(path)
    if path.is_dir():
        path = path / RUN_MODEL
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix.lower() == ".onnx":
        raise InputError(f"{path}: an ONNX file, which can only grade; give the .h5 or .keras")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a Git LFS pointer, not the model itself; fetch it by git lfs "
                         "pull")
    if not start:
        raise InputError(f"{path}: the file is empty")
    return path


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn what h5py, zipfile, json and Keras say of a damaged file into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each library fails in ways of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: no readable model file ({reason})") from None
