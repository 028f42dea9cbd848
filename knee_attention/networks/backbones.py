"""The backbones and their settings (paper, section 3.2).

A new backbone is one entry of `BACKBONES`, plus a file of layers if Keras lacks the network. Keras
is imported only when a network is built, so that command lines start quickly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from knee_attention.errors import InputError


@dataclass(frozen=True)
class Backbone:
    """A network that attention branches or dense heads are attached to.

    Attributes:
        build: function from images `(batch, height, width, channels)` to the last layer's output.
        taps: `{branch: name of the layer it attends to}`; empty for a network without branches.
        smallest: smallest image side in pixels at which every tap has a grid of at least 2x2.
        known_by: name of a layer before the taps that identifies this backbone in a model file.
            It is unique among the backbones with taps, and among those without.
        first_convolution: the layer whose kernel shape gives the number of image channels.
        phantom_setting: attributes of `Experiment` that replace the paper's values on phantoms,
            so that a run takes minutes on two cores.
        imagenet: the network of `keras.applications` whose ImageNet weights fit, or None.
        fusion: the only fusion of a network without branches; None for the others.
        image_size: the only height and width that the network takes; None if it takes any.
    """

    build: Callable
    taps: Mapping[str, str]
    smallest: int
    known_by: str
    first_convolution: str
    phantom_setting: Mapping[str, object]
    imagenet: str | None = None
    fusion: str | None = None
    image_size: tuple[int, int] | None = None


def _application(images, network: str):
    """The last output of a network of `keras.applications`."""
    import keras

    build = getattr(keras.applications, network)
    return build(include_top=False, weights=None, input_tensor=images).output


def _comparator(images, network: str, **options):
    """The last output of a network of `comparators`."""
    from knee_attention.networks import comparators

    return getattr(comparators, network)(images, **options)


_VGG16_PHANTOMS = {
    "image_size": (96, 64), "epochs": 4, "batch_size": 4, "learning_rate": 1.5e-4
}  # fmt: skip
_ANTONY_PHANTOMS = {
    "image_size": (160, 112), "epochs": 8, "batch_size": 8, "learning_rate": 5e-4
}  # fmt: skip
_BASELINE_PHANTOMS = {**_ANTONY_PHANTOMS, "image_size": (96, 144), "crop": "antony"}

BACKBONES = {
    "vgg16": Backbone(
        build=partial(_application, network="VGG16"),
        taps={"att0": "block3_pool", "att1": "block4_pool", "att2": "block5_pool"},
        smallest=64,
        known_by="block1_conv1",
        first_convolution="block1_conv1",
        phantom_setting=_VGG16_PHANTOMS,
        imagenet="VGG16",
    ),
    "resnet50": Backbone(
        build=partial(_application, network="ResNet50"),
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
        build=partial(_comparator, network="antony_classification"),
        taps={"att0": "pool2", "att1": "pool3", "att2": "pool4"},
        smallest=96,
        known_by="conv2",
        first_convolution="conv1",
        phantom_setting=_ANTONY_PHANTOMS,
    ),
    "antony_extended": Backbone(
        build=partial(_comparator, network="antony_extended"),
        taps={"att0": "pool2", "att1": "pool3", "att2": "pool4"},
        smallest=96,
        known_by="conv2_1",
        first_convolution="conv1",
        phantom_setting=_ANTONY_PHANTOMS,
    ),
    "antony_clsf_baseline": Backbone(
        build=partial(_comparator, network="antony_classification", pool=2),
        taps={},
        smallest=96,
        known_by="conv2",
        first_convolution="conv1",
        phantom_setting=_BASELINE_PHANTOMS,
        fusion="dense",
    ),
    "antony_joint_baseline": Backbone(
        build=partial(_comparator, network="antony_extended", pool=2),
        taps={},
        smallest=96,
        known_by="conv2_1",
        first_convolution="conv1",
        phantom_setting=_BASELINE_PHANTOMS,
        fusion="joint",
    ),
    "vgg16_plain": Backbone(
        build=partial(_comparator, network="vgg16_plain"),
        taps={},
        smallest=64,
        known_by="global_pool",
        first_convolution="block1_conv1",
        phantom_setting=_VGG16_PHANTOMS,
        imagenet="VGG16",
        fusion="plain",
    ),
    "jetley": Backbone(
        build=partial(_comparator, network="jetley"),
        taps={},
        smallest=64,
        known_by="global_features",
        first_convolution="block1_conv1",
        phantom_setting=_VGG16_PHANTOMS,
        imagenet="VGG16",
        fusion="plain",
    ),
    "tiulpin": Backbone(
        build=partial(_comparator, network="tiulpin"),
        taps={},
        smallest=300,
        known_by="patch_conv1",
        first_convolution="patch_conv1",
        phantom_setting={
            "image_size": (300, 300), "epochs": 4, "batch_size": 8, "learning_rate": 5e-4,
            "crop": "square",
        },
        fusion="plain",
        image_size=(300, 300),
    ),
}  # fmt: skip
"""`{name: backbone}`; experiments and model files use these names."""


def imagenet_source(backbone: str) -> str:
    """Name of the network in `keras.applications` whose ImageNet weights fit a backbone.

    Raises:
        InputError: the backbone has no ImageNet weights.
    """
    source = BACKBONES[backbone].imagenet
    if source is None:
        others = [name for name, known in BACKBONES.items() if known.imagenet]
        raise InputError(f"{backbone} has no ImageNet weights; choose {' or '.join(others)}, or "
                         "other weights")
    return source
