"""The four backbones and the layers their attention branches tap (paper section 3.2)."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from knee_attention.networks.antony import antony_classification, antony_extended


@dataclass(frozen=True)
class Backbone:
    """A network to attach attention branches to.

    Attributes:
        title: its name in the paper's tables.
        build: images `(batch, height, width, channels)` -> output of the last layer.
        taps: the pooling layer each branch attends to.
        smallest: least height and width of an image in pixels that leaves every tap a 2x2 grid.
    """

    title: str
    build: Callable
    taps: dict[str, str]
    smallest: int


def _vgg16(images):
    return keras.applications.VGG16(include_top=False, weights=None, input_tensor=images).output


def _resnet50(images):
    return keras.applications.ResNet50(include_top=False, weights=None, input_tensor=images).output


BACKBONES = {
    "vgg16": Backbone(
        "VGG-16",
        _vgg16,
        {"att0": "block3_pool", "att1": "block4_pool", "att2": "block5_pool"},
        smallest=64,
    ),
    "resnet50": Backbone(
        "ResNet-50",
        _resnet50,
        {"att0": "conv3_block4_out", "att1": "conv4_block6_out", "att2": "conv5_block3_out"},
        smallest=64,
    ),
    "antony_clsf": Backbone(
        "Antony clsf.",
        antony_classification,
        {"att0": "pool2", "att1": "pool3", "att2": "pool4"},
        smallest=96,
    ),
    "antony_extended": Backbone(
        "Antony extended",
        antony_extended,
        {"att0": "pool2", "att1": "pool3", "att2": "pool4"},
        smallest=96,
    ),
}


def tapped_features(backbone: str, images, branches: tuple[str, ...]) -> dict:
    """The feature volumes a backbone's branches attend to.

    Args:
        backbone: a key of `BACKBONES`.
        images: `(batch, height, width, channels)` tensor of normalised images.
        branches: keys of the backbone's taps.

    Returns:
        `{branch: (batch, height, width, channels) tensor}`.
    """
    chosen = BACKBONES[backbone]
    # The whole network is built and only what leads to the taps is kept by the caller's model.
    network = keras.Model(images, chosen.build(images))
    return {branch: network.get_layer(chosen.taps[branch]).output for branch in branches}
