"""Read and check the graph and the weights in a file before Keras builds the model."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import open_hdf5
from knee_attention.limits import LARGEST_SIDE
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import fusion_of, outputs_of

MOST_INFLATED = 10
"""Largest ratio of the unpacked weights to the size of the file."""

WEIGHTS = "model.weights.h5"
"""Member of a .keras archive with the weights."""

POOLS = ("AttentionPooling2D", "GlobalAveragePooling2D")
"""Classes of the layer `<branch>_pool` of an attention branch."""


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


def graph_description(config: Mapping) -> dict:
    """The arguments of `build_model` for a model, inferred from its Keras configuration.

    Raises:
        InputError: a model of this project with a backbone that is not in `BACKBONES`.
        KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError: not a
            model of this project.
    """
    layers = {layer["config"]["name"]: layer["config"] for layer in config["config"]["layers"]}
    pixels, height_width = layers["pixels"], layers["knee"]["batch_shape"][1:3]
    if not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in height_width):
        raise KeyError("image size")
    deviation = 1 / pixels["scale"]
    branches = attention_branches({
        layer["config"]["name"]: layer["class_name"].rpartition(">")[2]
        for layer in config["config"]["layers"]
    })  # fmt: skip
    fusion = fusion_of(layers, branches)
    known = [
        name
        for name, backbone in BACKBONES.items()
        if backbone.known_by in layers and bool(backbone.taps) == bool(branches)
    ]
    if not known:
        name = str(config["config"]["name"]).partition(f"_{fusion}")[0]
        raise InputError(f"unknown backbone {name[:60]!r}; import the module that adds it to "
                         "BACKBONES first (knee-attention: --import MODULE)")
    [backbone] = known
    policy = layers[BACKBONES[backbone].known_by]["dtype"]
    return {
        "backbone": backbone,
        "branches": branches,
        "fusion": fusion,
        "outputs": list(outputs_of(fusion, branches)),
        "image_size": list(height_width),
        "channels": 3 if "repeat_channel" in layers else 1,
        "pixel_mean": [-offset * deviation for offset in pixels["offset"]],
        "pixel_deviation": deviation,
        "attention": _attention(config, branches),
        "precision": policy if isinstance(policy, str) else policy["config"]["name"],
    }


def attention_branches(kinds: Mapping[str, str]) -> list[str]:
    """Sorted names of the branches, which have the layers `<branch>_norm` and `<branch>_pool`.

    Args:
        kinds: `{layer name: class name}` of all layers.
    """
    return sorted(
        name.removesuffix("_norm") for name in kinds
        if name.endswith("_norm") and kinds.get(f"{name.removesuffix('_norm')}_pool") in POOLS
    )  # fmt: skip


def _attention(config: Mapping, branches: list[str]) -> str:
    """The kind of attention, by the class of the first branch's mask layer."""
    for layer in config["config"]["layers"]:
        if branches and layer["config"]["name"] == f"{branches[0]}_mask":
            return "shared" if layer["class_name"] == "Conv2D" else "local"
    return "none" if branches else "local"
