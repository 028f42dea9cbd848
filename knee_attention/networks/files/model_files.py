"""Read and write model files. Each contains a description; nothing in a file is executed.

A `.h5` or `.keras` file of Keras can contain code (a Lambda) or names of classes to import. Here
its configuration is only read as JSON; `build_model` builds the graph and gets the file's arrays.
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

from knee_attention import device
from knee_attention.errors import InputError, first_line
from knee_attention.files import open_hdf5, reserve, written_whole
from knee_attention.networks.files.description import DESCRIPTION, check_description
from knee_attention.networks.files.location import existing_model_file
from knee_attention.networks.files.stored_content import (
    arrays_by_layer,
    arrays_in,
    backend_of,
    graph_description,
    open_weights,
    refuse_larger,
    refuse_not_finite,
)
from knee_attention.networks.model import build_model

LARGEST_TEXT = 2**24
"""Largest configuration or description in a .keras archive, in bytes. Typical ones have 1% of it.
"""

HEADING = 1_000_000
"""Upper bound of the bytes that a model file has in addition to its weights."""

IMPORT_HINT = ("knee-attention audit takes a .keras file of attach_attention, import-legacy a file "
               "of the original code")


def save_model(model: keras.Model, path: str | os.PathLike, description: Mapping) -> None:
    """Write a model without its optimizer. The file appears whole or not at all.

    Args:
        model: a model of `build_model`.
        path: an `.h5` or `.keras` file.
        description: further entries of the file's description, such as name, chosen output,
            preparation, experiment and results. JSON must be able to represent it.

    Raises:
        InputError: the file cannot be written.
    """
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    with written_whole(path) as beside:
        reserve(beside, 4 * model.count_params() + HEADING)
        uncompiled.save(beside)
        if beside.suffix == ".keras":
            with zipfile.ZipFile(beside, "a") as archive:
                archive.writestr(f"{DESCRIPTION}.json", json.dumps(description))
        else:
            with h5py.File(beside, "a") as file:
                file.attrs[DESCRIPTION] = json.dumps(description)


def load_model(path: str | os.PathLike) -> keras.Model:
    """A saved model, not compiled, in its saved precision.

    With JAX on a CPU, float32 replaces bfloat16.

    Args:
        path: an `.h5` or `.keras` file of this project, a run's folder, or the name of a model
            that ships with the package.

    Raises:
        InputError: no such file, a damaged file, or not a model of this project.
    """
    path = existing_model_file(path)
    description = read_description(path)
    with _damage_refused(path):
        _refuse_too_few_weights(description, path)
        model = empty_model(description)
        if path.suffix == ".keras":
            with open_weights(path):  # Keras itself does not check the sizes
                model.load_weights(path)
            for layer in model.layers:
                refuse_not_finite(layer.name, layer.get_weights(), path)
        else:
            set_all_weights(model, layer_weights(path), path)
    return model


def empty_model(description: Mapping) -> keras.Model:
    """A model with new weights and the graph of a description.

    Args:
        description: as `read_description` returns it.

    Raises:
        InputError: `build_model` cannot build the graph.
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
            device.usable_precision(description["precision"]),
            description.get("attention") or "local",
        )
    except ValueError as error:
        raise InputError(f"not a model of this project: {error}") from None


def set_all_weights(model: keras.Model, weights: Mapping, source: Path) -> None:
    """Set the weights of every layer.

    Args:
        model: changed in place.
        weights: `{layer name: arrays}`.
        source: the file, for messages.

    Raises:
        InputError: the arrays of a layer are missing or have other shapes.
    """
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        given = weights.get(layer.name, [])
        if [array.shape for array in given] != shapes:
            raise InputError(
                f"{source}: the weights of {layer.name} do not fit: expected {shapes}. "
                f"Received: {[array.shape for array in given]}"
            )
        if shapes:
            layer.set_weights(given)


def layer_weights(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """The arrays of an `.h5` file by layer name, in the file's order.

    Kernels of Theano are flipped: Theano convolves, every other backend correlates.

    Args:
        path: a whole model or only weights, written by Keras 2 or 3.

    Raises:
        InputError: no such file, not an HDF5 file, a damaged file, or weights that are not finite.
    """
    path = existing_model_file(path)
    with _damage_refused(path), open_weights(path) as file:
        root = file["model_weights"] if "model_weights" in file else file
        flipped = backend_of(file) == "theano"
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
                if flipped:
                    stored = [array[::-1, ::-1] if array.ndim == 4 else array for array in stored]
                named |= arrays_by_layer(layer, names, stored)
    return named


def read_description(path: str | os.PathLike) -> dict:
    """The description in a model file.

    Returns:
        the entries about the graph (`backbone`, `branches`, `fusion`, `outputs`, `image_size`,
        `channels`, `pixel_mean`, `pixel_deviation`, `precision`, `attention`) and those that
        `save_model` added.

    Raises:
        InputError: no such file, a damaged file, or not a model of this project.
    """
    path = existing_model_file(path)
    with _damage_refused(path):
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                name = f"{DESCRIPTION}.json"
                texts = {"config.json", name} & set(archive.namelist())
                for text in texts:
                    refuse_larger(archive, text, LARGEST_TEXT, path)
                added = archive.read(name) if name in texts else "{}"
                config = archive.read("config.json")
        else:
            with open_hdf5(path) as file:
                if "model_config" not in file.attrs:
                    raise InputError(f"{path}: only weights, not a model; {IMPORT_HINT}")
                added, config = file.attrs.get(DESCRIPTION, "{}"), file.attrs["model_config"]
        added, config = json.loads(added), json.loads(config)
        try:
            description = {**added, **graph_description(config)}
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError):
            raise InputError(f"{path}: not a model of this project; {IMPORT_HINT}") from None
        check_description(description, path)
        return description


def _refuse_too_few_weights(description: Mapping, path: Path) -> None:
    """Refuse a graph with more weights than its file, before memory is allocated for them.

    Only baselines can be so large: their dense layers have a weight per feature and position, so a
    small file can describe a graph of several gigabytes.

    Raises:
        InputError: the file has fewer weights than the graph.
    """
    if description["branches"]:
        return

    def count_weights() -> int:
        with keras.StatelessScope(initialize_variables=False):
            return empty_model(description).count_params()

    with ThreadPoolExecutor(1) as pool:  # Keras frees the unused variables when the thread ends
        needed = pool.submit(count_weights).result()
    with open_weights(path) as file:
        held = sum(array.size for array in arrays_in(file))
    if needed > held:
        raise InputError(f"{path}: a damaged model file (its graph has {needed:,} weights, the "
                         f"file has {held:,})")


@contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    """Turn exceptions of h5py, zipfile, json and Keras about a damaged file into `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # the exceptions of these libraries share no closer base class
        raise InputError(f"{path}: not a readable model file ({first_line(error)})") from None
