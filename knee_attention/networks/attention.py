"""The attention branch, the heads on it, and its masks (Gorriz et al., MIDL 2019, section 3).

Layer names start with the branch: `att0_norm`, `att0_conv1`, `att0_conv2`, `att0_mask`,
`att0_pool`. The head is `att0` itself.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from knee_attention.limits import ATTENTIONS, GRADES
from knee_attention.networks.layers import AttentionPooling2D, LocallyConnected2D


def attention_branch(features, name: str, attention: str = "local"):
    """Mean of a feature volume, weighted by a learned attention mask (section 3.1).

    Args:
        features: `(batch, height, width, channels)` tensor, such as a pooling layer's output.
            Height and width must be known.
        name: name of the branch, such as `"att0"`.
        attention: one of `limits.ATTENTIONS`.

    Returns:
        `(batch, channels)` float32 tensor.

    Raises:
        ValueError: an unknown kind of attention.

    Example:

    >>> import keras
    >>> attention_branch(keras.Input((14, 14, 512)), name="att0").shape
    (None, 512)
    """
    if attention not in ATTENTIONS:
        raise ValueError(f"expected an attention of {', '.join(ATTENTIONS)}. "
                         f"Received: {attention!r}")
    normalised = layers.BatchNormalization(name=f"{name}_norm")(features)
    if attention == "none":
        pool = layers.GlobalAveragePooling2D(dtype="float32", name=f"{name}_pool")
        return pool(normalised)
    x = layers.Conv2D(64, 1, activation="relu", name=f"{name}_conv1")(normalised)
    x = layers.Conv2D(16, 1, activation="relu", name=f"{name}_conv2")(x)
    settings = {"activation": "sigmoid", "dtype": "float32", "name": f"{name}_mask"}
    if attention == "local":
        mask = LocallyConnected2D(1, **settings)(x)
    else:
        mask = layers.Conv2D(1, 1, **settings)(x)
    return AttentionPooling2D(name=f"{name}_pool")([normalised, mask])


def grade_head(vector, name: str, classes: int = len(GRADES)):
    """Probabilities of the grades, `(batch, classes)` float32, from a `(batch, channels)` tensor.
    """
    return layers.Dense(classes, activation="softmax", dtype="float32", name=name)(vector)


MASK_SUFFIX = "_mask"
"""Suffix of a mask's layer name: the mask of `att0` is `att0_mask`."""


def with_masks(model: keras.Model) -> keras.Model:
    """The same model with its attention masks as further outputs.

    Args:
        model: a model of `build_model`.

    Returns:
        a model that shares the layers. Its outputs are those of `model` and one mask
        `<branch>_mask` per branch, `(batch, h, w, 1)` float32 in 0-1.

    Example:

    >>> from knee_attention.networks.model import build_model
    >>> model = with_masks(build_model("antony_clsf", ("att0",), "single", image_size=(96, 96)))
    >>> {name: tensor.shape for name, tensor in model.output.items()}
    {'att0': (None, 5), 'att0_mask': (None, 11, 11, 1)}
    """
    masks = {
        layer.name: layer.output for layer in model.layers if layer.name.endswith(MASK_SUFFIX)
    }
    return keras.Model(model.input, {**model.output, **masks})


def masks_among(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The masks `{branch: (n, h, w)}` among the predictions of a model of `with_masks`."""
    return {
        name.removesuffix(MASK_SUFFIX): value[..., 0]
        for name, value in values.items()
        if name.endswith(MASK_SUFFIX)
    }
