"""The backbones and all that is particular to each (paper, section 3.2).

A further backbone is one entry of `BACKBONES`, and a file for its layers where Keras has them not.
Nothing here imports Keras before a network is built: command lines ask for names and settings, and
must answer at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from knee_attention.errors import InputError


@dataclass(frozen=True)
class Backbone:
    """A network to attach attention branches to.

    Attributes:
        build: images `(batch, height, width, channels)` -> output of the last layer.
        taps: the layer each branch attends to; none where a network has no attention.
        smallest: least height and width of an image in pixels that leaves every tap a 2x2 grid.
        known_by: a layer by which a model file is known to have this backbone and no other with or
            without attention; all taps lie behind it.
        first_convolution: the layer whose kernel tells how many channels an image has.
        phantom_setting: where phantoms differ from the paper, by the names of `Experiment`: a
            setting that two cores finish in minutes.
        imagenet: the network of `keras.applications` whose ImageNet weights fit; None where there
            are none.
    """

    build: Callable
    taps: Mapping[str, str]
    smallest: int
    known_by: str
    first_convolution: str
    phantom_setting: Mapping[str, object]
    imagenet: str | None = None


def _vgg16(images):
    import keras

    return keras.applications.VGG16(include_top=False, weights=None, input_tensor=images).output


def _resnet50(images):
    import keras

    return keras.applications.ResNet50(include_top=False, weights=None, input_tensor=images).output


def _antony_classification(images, pool: int = 3):
    from knee_attention.networks.antony import antony_classification

    return antony_classification(images, pool)


def _antony_extended(images, pool: int = 3):
    from knee_attention.networks.antony import antony_extended

    return antony_extended(images, pool)


_ANTONY_PHANTOMS = {
    "image_size": (160, 112), "epochs": 8, "batch_size": 8, "learning_rate": 5e-4
}  # fmt: skip
_BASELINE_PHANTOMS = {**_ANTONY_PHANTOMS, "image_size": (96, 144), "crop": "antony"}

BACKBONES = {
    "vgg16": Backbone(
        build=_vgg16,
        taps={"att0": "block3_pool", "att1": "block4_pool", "att2": "block5_pool"},
        smallest=64,
        known_by="block1_conv1",
        first_convolution="block1_conv1",
        phantom_setting={
            "image_size": (96, 64), "epochs": 4, "batch_size": 4, "learning_rate": 1.5e-4
        },
        imagenet="VGG16",
    ),
    "resnet50": Backbone(
        build=_resnet50,
        taps={
            "att0": "conv3_block4_out", "att1": "conv4_block6_out", "att2": "conv5_block3_out"
        },
        smallest=64,
        known_by="conv1_conv",
        first_convolution="conv1_conv",
        phantom_setting={
            "image_size": (128, 96), "epochs": 4, "batch_size": 8, "learning_rate": 3e-4
        },
        imagenet="ResNet50",
    ),
    "antony_clsf": Backbone(
        build=_antony_classification,
        taps={"att0": "pool2", "att1": "pool3", "att2": "pool4"},
        smallest=96,
        known_by="conv2",
        first_convolution="conv1",
        phantom_setting=_ANTONY_PHANTOMS,
    ),
    "antony_extended": Backbone(
        build=_antony_extended,
        taps={"att0": "pool2", "att1": "pool3", "att2": "pool4"},
        smallest=96,
        known_by="conv2_1",
        first_convolution="conv1",
        phantom_setting=_ANTONY_PHANTOMS,
    ),
    "antony_clsf_baseline": Backbone(
        build=partial(_antony_classification, pool=2),
        taps={},
        smallest=96,
        known_by="conv2",
        first_convolution="conv1",
        phantom_setting=_BASELINE_PHANTOMS,
    ),
    "antony_joint_baseline": Backbone(
        build=partial(_antony_extended, pool=2),
        taps={},
        smallest=96,
        known_by="conv2_1",
        first_convolution="conv1",
        phantom_setting=_BASELINE_PHANTOMS,
    ),
}  # fmt: skip
"""By the names that experiments and files have them under."""


def imagenet_source(backbone: str) -> str:
    """The network of `keras.applications` that has ImageNet weights for a backbone.

    Raises:
        InputError: there are none for this backbone; it names those that have some.
    """
    source = BACKBONES[backbone].imagenet
    if source is None:
        others = [name for name, known in BACKBONES.items() if known.imagenet]
        raise InputError(f"there are no ImageNet weights for {backbone}, only for "
                         f"{' and '.join(others)}")
    return source
