"""The whole network: pixels -> backbone -> attention branches -> grades; and branches on any model.

The baselines of Table 2 and the related systems have no attention branches. Attention "can be
easily integrated to any convolutional neural network" (Gorriz et al., MIDL 2019, section 5).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches

import keras
from keras import layers

from knee_attention.limits import GRADES, KNEE_SIZE
from knee_attention.networks.attention import attention_branch
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import FUSIONS, check_architecture

WITH_BRANCHES = [name for name, fusion in FUSIONS.items() if fusion.most]


def attach_attention(
    model: keras.Model,
    taps: Mapping[str, str],
    fusion: str = "multi_loss",
    attention: str = "local",
    classes: int = len(GRADES),
    name: str | None = None,
) -> keras.Model:
    """Attach attention branches to named layers of a functional or sequential Keras model.

    Layers after the deepest tap are left out. The others are shared with `model`, not copied.

    Args:
        model: the network, with any input.
        taps: `{branch: layer}`, from the name of a branch, such as `"att0"`, to the name of a layer
            with an output `(batch, height, width, channels)`.
        fusion: `"single"` (one branch), `"early_fusion"` or `"multi_loss"` (two branches or three).
        attention: how masks are computed: one of `limits.ATTENTIONS`.
        classes: the number of classes.
        name: the name of the new model; by default that of `model`.

    Returns:
        A model from the same input to a dict of `(batch, classes)` float32 probabilities, keyed by
        branch, or by `"kl"` for early fusion.

    Raises:
        ValueError: a model without a graph; an unknown fusion, kind of attention or layer; a layer
            that two branches tap, that the model uses more than once, or whose output is not
            `(batch, height, width, channels)`.

    Example:

    >>> network = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None)
    >>> model = attach_attention(network, {"att0": "block_6_expand_relu", "att1": "out_relu"})
    >>> {branch: probabilities.shape for branch, probabilities in model.output.items()}
    {'att0': (None, 5), 'att1': (None, 5)}
    """
    if not getattr(model, "inputs", None):
        raise ValueError("expected a functional model, or a sequential one whose input is known. "
                         f"Received: {model!r}")
    if fusion not in WITH_BRANCHES:
        raise ValueError(f"expected a fusion of {', '.join(WITH_BRANCHES)}. Received: {fusion!r}")
    if not FUSIONS[fusion].fewest <= len(taps) <= FUSIONS[fusion].most:
        raise ValueError("expected one branch for 'single', two or three for the other fusions. "
                         f"Received: {', '.join(taps) or 'none'} with {fusion!r}")
    if len(set(taps.values())) < len(taps):
        raise ValueError(f"expected a different layer for each branch. Received: {dict(taps)}")
    vectors = {
        branch: attention_branch(_output_of(model, layer), branch, attention)
        for branch, layer in taps.items()
    }
    outputs = FUSIONS[fusion].build(vectors, classes)
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.Model(inputs, outputs, name=name or model.name)


def _output_of(model: keras.Model, layer: str):
    """The `(batch, height, width, channels)` output of a layer."""
    known = [known.name for known in model.layers]
    if layer not in known:
        near = get_close_matches(layer, known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"{model.name} has no layer {layer!r}{hint}")
    graph = getattr(model, "_functional", model)  # that of a sequential model
    calls = [node for nodes in graph._nodes_by_depth.values() for node in nodes
             if node.operation.name == layer]  # fmt: skip
    if len(calls) > 1:
        raise ValueError(f"{model.name} uses its layer {layer!r} more than once; tap a layer that "
                         "it uses once")
    # Not the layer's `output`: that is the one of its first call, perhaps in another model.
    outputs = calls[0].outputs
    if len(outputs) != 1 or len(outputs[0].shape) != 4:
        shape = outputs[0].shape if len(outputs) == 1 else "several tensors"
        raise ValueError(f"expected a layer with an output (batch, height, width, channels). "
                         f"Received: {layer!r} with {shape}")
    return outputs[0]


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
