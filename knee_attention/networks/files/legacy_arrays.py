"""Read a model file of the original Keras 2 code as data.

Nothing in the file is executed: only sizes and names are read from its configuration, and the code
of its Lambda layers is not loaded.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from knee_attention.errors import InputError
from knee_attention.networks.files.location import existing_model_file
from knee_attention.networks.files.model_files import layer_weights, read_description
from knee_attention.networks.files.stored_content import backend_of

BACKENDS = ("tensorflow", "theano", "cntk")
"""The backends of Keras 2."""


@dataclass(frozen=True)
class LegacyFile:
    """Content of a Keras 2 file.

    Attributes:
        path: the file.
        layers: arrays by layer name, in the file's order. Kernels of masks have the shape
            `(height * width, channels, filters)`.
        roles: layer names by `role`, in the file's order.
        has_optimizer: whether it contains the state of an optimizer.
        image_size: height and width of the input; None for a file with only weights.
        pools: size of each max-pool; None for a file with only weights.
        lambdas: names of the Lambda layers; empty for a file with only weights.
        backend: the Keras backend that wrote the file; None if unknown.
    """

    path: Path
    layers: dict[str, list[np.ndarray]]
    roles: dict[str, list[str]]
    has_optimizer: bool
    image_size: tuple[int, int] | None
    pools: list[tuple[int, int]] | None
    lambdas: list[str]
    backend: str | None

    @property
    def masks(self) -> list[tuple[int, int]]:
        """Height and width of every mask."""
        return [self.layers[name][1].shape[:2] for name in self.roles["mask"]]


def read_legacy(path: str | os.PathLike) -> LegacyFile:
    """Read a Keras 2 file as data.

    Raises:
        InputError: no such file, a damaged file, a model of this project, or a convolution that
            spreads a mask over the channels with weights other than ones.
    """
    path = existing_model_file(path)
    try:
        read_description(path)
    except InputError:
        pass
    else:
        raise InputError(f"{path}: already a model of this project; it needs no import")
    layers = layer_weights(path)
    if not layers:
        raise InputError(f"{path}: not a Keras 2 file; it has no weights with layer names")
    try:
        with h5py.File(path, "r") as file:
            config = json.loads(file.attrs.get("model_config", "null"))
            version = str(file.attrs.get("keras_version", ""))
            has_optimizer = "optimizer_weights" in file
            backend = backend_of(file)
        if any(array.dtype.kind != "f" for arrays in layers.values() for array in arrays):
            raise ValueError("its weights are not floating-point numbers")
        if config is not None and version.startswith("3."):
            raise InputError(f"{path}: a model of another project, written by Keras {version}; "
                             "the original code wrote Keras 2 files")
        if backend not in (None, *BACKENDS):
            raise InputError(f"{path}: expected one of the backends {', '.join(BACKENDS)}. "
                             f"Received: {backend!r}")
        of_whole_model = (None, None, []) if config is None else _read_config(config)
    except InputError:
        raise
    except (AttributeError, IndexError, KeyError, OSError, RecursionError, TypeError,
            ValueError) as error:
        raise InputError(f"{path}: a damaged Keras 2 file ({error})") from None
    roles = defaultdict(list)
    for name, arrays in layers.items():
        roles[role(arrays)].append(name)
    for name in roles["mask"]:
        layers[name] = unshared(*layers[name])
    for name in roles["ones"]:
        if not np.all(layers[name][0] == 1):
            raise InputError(f"{path}: {name} spreads a mask over the channels with weights other "
                             "than ones; the paper's network has only ones there")
    return LegacyFile(path, layers, roles, has_optimizer, *of_whole_model, backend)


def _read_config(config: dict) -> tuple[tuple[int, int], list, list[str]]:
    """Image size, max-pool sizes and names of the Lambda layers of a whole model."""
    of_class, formats = defaultdict(list), set()
    for kind, layer in _layers(config):
        of_class[kind].append(layer)
        formats |= {layer["data_format"]} if "data_format" in layer else set()
    if len(formats) > 1:
        raise ValueError("its layers mix channels_first and channels_last")
    first = formats == {"channels_first"}
    shape = list(of_class["InputLayer"][0]["batch_input_shape"])
    del shape[1 if first else 3]
    _, height, width = shape
    for normalisation in of_class["BatchNormalization"]:
        if normalisation.get("axis", -1) not in ((1, [1]) if first else (-1, 3, [3])):
            raise ValueError(f"{normalisation['name']} does not normalise the channel axis")
    if not all(type(side) is int and side > 0 for side in (height, width)):
        raise ValueError(f"images of {height}x{width}")
    pools = [tuple(pool["pool_size"]) for pool in of_class["MaxPooling2D"]]
    return (height, width), pools, [layer["name"] for layer in of_class["Lambda"]]


def _layers(config: dict) -> Iterator[tuple[str, dict]]:
    """Class and configuration of every layer, including the layers of nested models."""
    for layer in config["config"]["layers"]:
        if "layers" in layer["config"]:
            yield from _layers(layer)
        else:
            yield layer["class_name"], layer["config"]


def role(arrays: list[np.ndarray]) -> str:
    """The role of a layer, inferred from the shapes of its arrays.

    Returns:
        a part of a branch (`norm`, `conv1`, `conv2`, `mask`), `ones` (the frozen convolution that
        spreads a mask over the channels), `dense`, or `backbone`.
    """
    dimensions, shape = [array.ndim for array in arrays], arrays[0].shape
    if dimensions == [4] and shape[:3] == (1, 1, 1):
        return "ones"
    if dimensions == [1, 1, 1, 1]:
        return "norm"
    if dimensions == [2, 1]:
        return "dense"
    if dimensions in ([1, 3], [3, 3], [6, 3]) and arrays[1].size:
        return "mask"
    if dimensions == [4, 1] and shape[:2] == (1, 1):
        return {64: "conv1", 16: "conv2"}.get(shape[3], "backbone")
    return "backbone"


def unshared(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
    """The weights of a 1x1 LocallyConnected2D of Keras 2 in the shapes of its implementation 1.

    Args:
        kernel: in the shape of one of the three implementations.
            1: `(height * width, channels, filters)`.
            2: `(height, width, channels, height, width, filters)`, or with channels and filters
            first; only weights from a position to itself are used.
            3: only these weights, flat, ordered by output position, filter and channel.
        bias: `(height, width, filters)`.

    Returns:
        kernel `(height * width, channels, filters)` and bias.
    """
    height, width, filters = bias.shape
    if kernel.ndim == 6 and kernel.shape[:2] == kernel.shape[3:5]:
        kernel = np.einsum("hwchwf->hwcf", kernel).reshape(-1, kernel.shape[2], kernel.shape[5])
    elif kernel.ndim == 6 and kernel.shape[1:3] == kernel.shape[4:6]:
        kernel = np.einsum("chwfhw->hwcf", kernel).reshape(-1, kernel.shape[0], kernel.shape[3])
    elif kernel.ndim == 1 and kernel.size % bias.size == 0:
        kernel = kernel.reshape(height * width, filters, -1).swapaxes(1, 2)
    return [kernel, bias]
