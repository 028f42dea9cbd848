"""Initial weights, from a model file or from ImageNet, copied layer by layer."""

import os
from pathlib import Path

import cv2
import keras
import numpy as np

from knee_attention.errors import InputError
from knee_attention.networks.attention import MASK_SUFFIX
from knee_attention.networks.backbones import BACKBONES, imagenet_source
from knee_attention.networks.files.model_files import layer_weights, load_model, read_description
from knee_attention.networks.files.stored_content import attention_branches
from knee_attention.networks.layers import LocallyConnected2D
from knee_attention.networks.model import IMAGENET_MEAN

IMAGENET_PIXELS = {"channels": 3, "pixel_mean": IMAGENET_MEAN, "pixel_deviation": 1.0}
"""Pixel arguments of `build_model` for the weights of `keras.applications`."""


def read_weights(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """The weights of a model file by layer name.

    Args:
        path: an `.h5` file of Keras 2 or 3, with a whole model or only weights; or a `.keras` file
            of this project.

    Returns:
        `{layer name: arrays in the order of Keras}`, without layers that have no weights.

    Raises:
        InputError: no such file, or no weights in it.
    """
    path = Path(path)
    if path.suffix == ".keras":
        layers = load_model(path).layers
        return {layer.name: layer.get_weights() for layer in layers if layer.weights}
    named = layer_weights(path)
    if not named:
        raise InputError(f"{path}: no weights with layer names; give a whole-model .h5, a Keras 2 "
                         "weights .h5 or a .keras file")
    return named


def imagenet_weights(backbone: str) -> dict[str, list[np.ndarray]]:
    """The ImageNet weights of a backbone by layer name. Keras downloads and caches them.

    Raises:
        InputError: the backbone has no ImageNet weights, or the download fails.
    """
    builder = getattr(keras.applications, imagenet_source(backbone))
    try:
        network = builder(include_top=False, weights="imagenet")
    except Exception as error:  # urllib, ssl and socket errors share no closer base
        raise InputError(
            f"the ImageNet weights cannot be downloaded ({error}); download the 'notop' .h5 file "
            "of keras-applications on another computer and give it as --weights FILE"
        ) from None
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def input_channels(weights: dict[str, list[np.ndarray]]) -> int:
    """Number of image channels of the first convolution: 1 or 3."""
    for backbone in BACKBONES.values():
        if backbone.first_convolution in weights:
            return weights[backbone.first_convolution][0].shape[2]
    return 1


def pixels_of_colour(path: str | os.PathLike) -> dict:
    """Pixel arguments of `build_model` for a weights file with three channels.

    A model file of this project records them; other files get those of `keras.applications`.
    Three-channel networks keep their pixel normalisation, which their pretrained weights depend
    on; one-channel networks use the statistics of the new images.
    """
    try:
        return recorded_pixels(path)
    except InputError:
        return IMAGENET_PIXELS


def recorded_pixels(path: str | os.PathLike) -> dict:
    """Pixel arguments of `build_model` that a model file records.

    Raises:
        InputError: not a model file of this project.
    """
    known = read_description(path)
    return {
        "channels": known["channels"],
        "pixel_mean": tuple(known["pixel_mean"]),
        "pixel_deviation": known["pixel_deviation"],
    }


def set_weights_by_layer(
    model: keras.Model, weights: dict[str, list[np.ndarray]], source: str
) -> list[str]:
    """Copy weights into the layers of the same name.

    All layers of the backbone must be present and fit. If the file has attention branches, they
    must be those of the model, with the same kind of masks. Masks of another image size are
    resized. Heads are copied if they fit; otherwise they keep their new weights.

    Args:
        model: changed in place.
        weights: arrays by layer name.
        source: name of the weights in messages.

    Returns:
        names of the layers that were set.

    Raises:
        InputError: layers of the backbone are missing or have other shapes, or the branches or
            their masks differ.
    """
    fitting, misfits = {}, []
    for layer in model.layers:
        if not layer.weights:
            continue
        given = weights.get(layer.name)
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if given and isinstance(layer, LocallyConnected2D) and given[-1].ndim == 3:
            given = resize_mask_weights(given, shapes[1][:2])
        if given is not None and [array.shape for array in given] == shapes:
            fitting[layer] = given
        elif given and layer.name.endswith(MASK_SUFFIX):
            misfits.append(f"{layer.name} (another kind of attention)")
        elif not layer.name.startswith(("att", "kl", "fusion")):
            found = "missing" if given is None else f"{[a.shape for a in given]} for {shapes}"
            misfits.append(f"{layer.name} ({found})")
    if misfits:
        shown = ", ".join(misfits[:3])
        if len(misfits) > 3:
            shown += f" and {len(misfits) - 3} more"
        raise InputError(f"{source}: weights of another architecture; these layers do not fit: "
                         f"{shown}")
    ours = attention_branches({layer.name: type(layer).__name__ for layer in model.layers})
    of_backbone = {layer.name for layer in model.layers} - {f"{branch}_norm" for branch in ours}
    theirs = sorted(name.removesuffix("_norm") for name in weights
                    if name.endswith("_norm") and name not in of_backbone)  # fmt: skip
    if theirs and theirs != ours:
        raise InputError(f"{source}: has the attention branches {', '.join(theirs)}; the "
                         f"experiment has {', '.join(ours)}")
    masks = [
        "masks" if any(name.endswith(MASK_SUFFIX) for name in names) else "no masks"
        for names in (weights, [layer.name for layer in model.layers])
    ]
    if theirs and masks[0] != masks[1]:
        raise InputError(f"{source}: its branches have {masks[0]}; the experiment has {masks[1]}")
    for layer, given in fitting.items():
        layer.set_weights(given)
    return [layer.name for layer in fitting]


def resize_mask_weights(
    weights: list[np.ndarray], grid: tuple[int, int]
) -> list[np.ndarray]:
    """The weights of a mask, bilinearly resized to another grid.

    A mask that was trained on small images keeps its relative position in larger ones.

    Args:
        weights: kernel `(height * width, channels, filters)` and bias `(height, width, filters)`
            of a `LocallyConnected2D`.
        grid: new height and width.

    Returns:
        kernel and bias of the new grid, float32.
    """
    kernel, bias = weights
    height, width, filters = bias.shape
    kernel = kernel.reshape(height, width, -1)
    kernel, bias = (  # OpenCV cannot resize float16, which the shipped models use
        cv2.resize(values.astype(np.float32), grid[::-1], interpolation=cv2.INTER_LINEAR)
        .reshape(*grid, -1)
        for values in (kernel, bias)
    )
    return [kernel.reshape(grid[0] * grid[1], -1, filters), bias]


