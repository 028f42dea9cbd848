"""Start from weights of another file, layer by layer."""

import os
from pathlib import Path

import keras
import numpy as np

from knee_attention.errors import InputError
from knee_attention.networks.model_file import layer_weights, load_model


def read_weights(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """The weights of a model file by layer name.

    Args:
        path: an `.h5` file (a whole model or weights alone, as Keras 2 and 3 write them) or a
            `.keras` file of this project.

    Returns:
        `{layer name: its arrays in Keras' order}`, layers without weights left out.

    Raises:
        InputError: no such file, or not a file of weights.
    """
    path = Path(path)
    if path.suffix == ".keras":
        layers = load_model(path).layers
        return {layer.name: layer.get_weights() for layer in layers if layer.weights}
    named = layer_weights(path)
    if not named:
        raise InputError(f"{path}: it holds no weights by layer name; give a whole-model .h5, a "
                         "Keras 2 weights .h5 or a .keras file")
    return named


def imagenet_weights(backbone: str) -> dict[str, list[np.ndarray]]:
    """The ImageNet weights of a backbone, downloaded by Keras and kept in its cache.

    Raises:
        InputError: the backbone has none, or they cannot be downloaded.
    """
    builders = {"vgg16": keras.applications.VGG16, "resnet50": keras.applications.ResNet50}
    if backbone not in builders:
        raise InputError(f"there are no ImageNet weights for {backbone}, only for "
                         f"{' and '.join(builders)}")
    try:
        network = builders[backbone](include_top=False, weights="imagenet")
    except Exception as error:  # urllib, ssl and socket errors share no closer base
        raise InputError(
            f"the ImageNet weights cannot be downloaded ({error}); fetch the 'notop' .h5 file of "
            "keras-applications elsewhere and give it as --weights FILE"
        ) from None
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def input_channels(weights: dict[str, list[np.ndarray]]) -> int:
    """Number of image channels that the first convolution of `weights` takes: 1 or 3."""
    for name in ("block1_conv1", "conv1_conv", "conv1"):
        if name in weights:
            return weights[name][0].shape[2]
    return 1


def set_weights_by_layer(
    model: keras.Model, weights: dict[str, list[np.ndarray]], source: str
) -> list[str]:
    """Copy weights into the layers of the same name.

    The backbone's layers must all be there and fit; those of branches and heads are taken where
    they fit and stay new where not.

    Args:
        model: changed in place.
        weights: arrays by layer name.
        source: what to call them in a message.

    Returns:
        names of the layers that were set.

    Raises:
        InputError: layers of the backbone are missing or of another shape; it names them.
    """
    fitting, misfits = [], []
    for layer in model.layers:
        if not layer.weights:
            continue
        given = weights.get(layer.name)
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if given is not None and [array.shape for array in given] == shapes:
            fitting.append(layer)
        elif not layer.name.startswith(("att", "kl", "fusion")):
            found = "missing" if given is None else f"{[a.shape for a in given]} for {shapes}"
            misfits.append(f"{layer.name} ({found})")
    if misfits:
        shown = ", ".join(misfits[:3]) + (f" and {len(misfits) - 3} more" * (len(misfits) > 3))
        raise InputError(f"{source}: weights of another architecture, these layers do not fit: "
                         f"{shown}")
    for layer in fitting:
        layer.set_weights(weights[layer.name])
    return [layer.name for layer in fitting]
