"""The whole graph on one page: pixels -> backbone -> attention branches -> grades."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import layers

from knee_attention.networks.attention import FUSIONS, attention_branch
from knee_attention.networks.backbones import BACKBONES, tapped_features
from knee_attention.options import LARGEST_SIDE

PIXEL_MEAN, PIXEL_DEVIATION = 120.67, 75.15
"""Mean and standard deviation of the authors' training set (original code)."""

IMAGENET_MEAN = (103.939, 116.779, 123.68)
"""Blue, green and red means that the ImageNet weights of VGG-16 and ResNet-50 were trained with."""


def build_model(
    backbone: str = "vgg16",
    branches: tuple[str, ...] = ("att0", "att1"),
    fusion: str = "multi_loss",
    image_size: tuple[int, int] = (320, 224),
    channels: int = 1,
    pixel_mean: float | tuple[float, ...] = PIXEL_MEAN,
    pixel_deviation: float = PIXEL_DEVIATION,
    precision: str | None = None,
) -> keras.Model:
    """Build one of the paper's networks.

    Args:
        backbone: a key of `BACKBONES`.
        branches: attention branches, from `"att0"` (shallowest) to `"att2"`.
        fusion: `"single"` (one branch), `"early_fusion"` or `"multi_loss"`.
        image_size: height and width in pixels.
        channels: 1, or 3 to repeat the grey channel inside the model, as ImageNet weights need.
        pixel_mean: subtracted from the pixels; one value, or one a channel.
        pixel_deviation: what the pixels are divided by afterwards.
        precision: a Keras dtype policy; by default the global one.

    Returns:
        A model from `(batch, height, width, 1)` equalised grey knees, 0-255, to a dict of
        `(batch, 5)` float32 probabilities, keyed by branch (`"kl"` for early fusion).

    Raises:
        ValueError: an unknown name, branches that do not suit the fusion, images too small or too
            large.
    """
    _check(backbone, branches, fusion, image_size, channels)
    means = pixel_mean if isinstance(pixel_mean, tuple) else (pixel_mean,) * channels
    with _precision(precision):
        return _build(backbone, branches, fusion, image_size, channels, means, pixel_deviation)


def _build(
    backbone, branches, fusion, image_size, channels, pixel_means, pixel_deviation
) -> keras.Model:
    knees = keras.Input((*image_size, 1), name="knee")
    images = knees
    if channels > 1:
        images = layers.Concatenate(name="repeat_channel")([images] * channels)
    images = layers.Rescaling(
        1.0 / pixel_deviation, [-mean / pixel_deviation for mean in pixel_means], name="pixels"
    )(images)
    features = tapped_features(backbone, images, branches)
    vectors = {branch: attention_branch(features[branch], branch) for branch in branches}
    name = "_".join([backbone, fusion, *branches])
    return keras.Model(knees, FUSIONS[fusion](vectors), name=name)


@contextmanager
def _precision(policy: str | None) -> Iterator[None]:
    """Layers made inside have this dtype policy; the global one is as before afterwards."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy or before)
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check(backbone, branches, fusion, image_size, channels) -> None:
    if backbone not in BACKBONES:
        raise ValueError(f"expected a backbone of {', '.join(BACKBONES)}. Received: {backbone!r}")
    if fusion not in FUSIONS:
        raise ValueError(f"expected a fusion of {', '.join(FUSIONS)}. Received: {fusion!r}")
    chosen = BACKBONES[backbone]
    unknown = [branch for branch in branches if branch not in chosen.taps]
    if not branches or unknown or len(set(branches)) != len(branches):
        raise ValueError(f"expected different branches of {', '.join(chosen.taps)}. "
                         f"Received: {branches!r}")
    if (fusion == "single") != (len(branches) == 1):
        raise ValueError(f"expected one branch for 'single' and several for a fusion. "
                         f"Received: {branches!r} with {fusion!r}")
    if min(image_size) < chosen.smallest:
        raise ValueError(f"expected images of at least {chosen.smallest} pixels a side for "
                         f"{chosen.title}. Received: {image_size[0]}x{image_size[1]}")
    if max(image_size) > LARGEST_SIDE:
        raise ValueError(f"expected images of at most {LARGEST_SIDE} pixels a side. "
                         f"Received: {image_size[0]}x{image_size[1]}")
    if channels not in (1, 3):
        raise ValueError(f"expected 1 or 3 channels. Received: {channels!r}")
