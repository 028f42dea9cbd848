"""The whole network: pixels -> backbone -> attention branches -> grades.

The baselines of Table 2 and the related systems have no attention branches.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import layers

from knee_attention.limits import KNEE_SIZE
from knee_attention.networks.attach import attach_attention
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import FUSIONS, check_architecture

PIXEL_MEAN, PIXEL_DEVIATION = 120.67308000216417, 75.15477869837049
"""Mean and standard deviation of the authors' training set (original code)."""

IMAGENET_MEAN = (103.939, 116.779, 123.68)
"""Blue, green and red pixel means of the ImageNet weights of VGG-16 and ResNet-50."""


def build_model(
    backbone: str = "vgg16",
    branches: tuple[str, ...] = ("att0", "att1"),
    fusion: str = "multi_loss",
    image_size: tuple[int, int] = KNEE_SIZE,
    channels: int = 1,
    pixel_mean: float | tuple[float, ...] = PIXEL_MEAN,
    pixel_deviation: float = PIXEL_DEVIATION,
    precision: str | None = None,
    attention: str = "local",
) -> keras.Model:
    """Build one of the paper's networks.

    Args:
        backbone: a key of `BACKBONES`.
        branches: attention branches, from `"att0"` (shallowest) to `"att2"`, in any order.
        fusion: `"single"` (one branch), `"early_fusion"` or `"multi_loss"`; `"dense"`, `"joint"`
            or `"plain"` for a baseline, which has no branches.
        image_size: height and width in pixels.
        channels: 1; or 3 to repeat the grey channel inside the model, for ImageNet weights.
        pixel_mean: subtracted from the pixels; one value, or one per channel.
        pixel_deviation: the pixels are divided by it afterwards.
        precision: a Keras dtype policy; by default that of the calling thread.
        attention: how masks are computed: one of `limits.ATTENTIONS`.

    Returns:
        A model whose input is `(batch, height, width, 1)`: grey knees, 0-255, with equalised
        histograms. Its output is a dict of `(batch, 5)` float32 probabilities, keyed by branch, or
        by `"kl"` for early fusion and the baselines. The joint baseline also has `"regression"`,
        `(batch, 1)` float32 grades.

    Raises:
        ValueError: an unknown name, branches that do not fit the fusion, images that are too small
            or too large, or another number of channels.

    Example:

    >>> model = build_model("vgg16", ("att0", "att1"), image_size=(96, 64))
    >>> {name: tensor.shape for name, tensor in model.output.items()}
    {'att0': (None, 5), 'att1': (None, 5)}
    """
    check_architecture(backbone, branches, fusion, image_size)
    branches = tuple(sorted(branches))  # model files do not record the order of fusion
    if channels not in (1, 3):
        raise ValueError(f"expected 1 or 3 channels. Received: {channels!r}")
    means = pixel_mean if isinstance(pixel_mean, tuple) else (pixel_mean,) * channels
    with _precision(precision):
        knees = keras.Input((*image_size, 1), name="knee")
        images = knees
        if channels > 1:
            images = layers.Concatenate(name="repeat_channel")([images] * channels)
        images = layers.Rescaling(
            1.0 / pixel_deviation, [-mean / pixel_deviation for mean in means], name="pixels"
        )(images)
        chosen, name = BACKBONES[backbone], "_".join([backbone, fusion, *branches])
        features = chosen.build(images)
        if not branches:
            return keras.Model(knees, FUSIONS[fusion].build(features), name=name)
        taps = {branch: chosen.taps[branch] for branch in branches}
        return attach_attention(keras.Model(knees, features), taps, fusion, attention, name=name)


def tapped_features(backbone: str, images, branches: tuple[str, ...]) -> dict:
    """The feature volumes that the attention branches of a backbone take.

    Args:
        backbone: a key of `BACKBONES`.
        images: `(batch, height, width, channels)` tensor of normalised images.
        branches: keys of the backbone's taps.

    Returns:
        `{branch: (batch, height, width, channels) tensor}`.
    """
    chosen = BACKBONES[backbone]
    # The caller's model keeps only the layers before its taps.
    network = keras.Model(images, chosen.build(images))
    return {branch: network.get_layer(chosen.taps[branch]).output for branch in branches}


@contextmanager
def _precision(policy: str | None) -> Iterator[None]:
    """Set the Keras dtype policy of this thread inside the block; restore it afterwards.

    The networks of `keras.applications` have no dtype argument, so only the global policy reaches
    their layers. Keras keeps that policy per thread, so other threads are not affected.
    """
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy or before)
        yield
    finally:
        keras.config.set_dtype_policy(before)
