"""The fully convolutional network that marks joint lines (Antony et al., MLDM 2017).

Its 212,769 convolution weights are those of the paper's Table 2. What is not published there is
ours: the loss, and that an image is brought to 256x256 with its proportions (`films/localiser.py`).
"""

import keras
from keras import layers, ops

from knee_attention.options import LOCALISER_SIDE

STAGES = ((32,), (32, 32), (64, 64), (96, 96))
"""Filters of the 3x3 convolutions; between two stages lies a 2x2 max-pool. A pixel of the last
stage sees 66 pixels of the image in each direction."""

STRIDE = 2 ** (len(STAGES) - 1)


def build_localiser(precision: str | None = None) -> keras.Model:
    """Build the localiser.

    Args:
        precision: a Keras dtype policy for the stages; by default that of the process. The map is
            computed in float32 in any case.

    Returns:
        A model from `(batch, 256, 256, 1)` equalised films, 0-255, bone bright, to maps
        `(batch, 256, 256, 1)` float32, 0-1: how surely a pixel belongs to the band along a joint
        line.
    """
    films = keras.Input((LOCALISER_SIDE, LOCALISER_SIDE, 1), name="film")
    x = layers.Rescaling(1 / 127.5, -1, name="pixels", dtype=precision)(films)
    for stage, filters in enumerate(STAGES, start=1):
        if stage > 1:
            x = layers.MaxPooling2D(2, name=f"pool{stage - 1}", dtype=precision)(x)
        for number, count in enumerate(filters, start=1):
            name = f"conv{stage}_{number}"
            x = layers.Conv2D(count, 3, padding="same", name=name, dtype=precision)(x)
            x = layers.BatchNormalization(name=f"{name}_bn", momentum=0.97, dtype=precision)(x)
            x = layers.Activation("relu", name=f"{name}_relu", dtype=precision)(x)
    x = layers.Conv2D(1, 1, name="line", dtype="float32")(x)
    x = layers.UpSampling2D(STRIDE, interpolation="bilinear", name="enlarge", dtype="float32")(x)
    lines = layers.Activation("sigmoid", name="map", dtype="float32")(x)
    return keras.Model(films, lines, name="localiser")


def convolution_weights(model: keras.Model) -> int:
    """How many weights the convolutions have, which is what the paper counts."""
    return sum(
        layer.count_params() for layer in model.layers if isinstance(layer, layers.Conv2D)
    )


def line_loss(lines, maps):
    """Pixel-wise binary cross-entropy plus one minus the Dice coefficient of each image.

    The band is a fortieth of a film: cross-entropy alone begins by learning that there is none.

    Args:
        lines: `(batch, height, width, 1)` true maps, 0 or 1.
        maps: those of the model.

    Returns:
        `(batch,)` losses.
    """
    lines = ops.cast(lines, "float32")
    pixels = ops.mean(keras.losses.binary_crossentropy(lines, maps), axis=(1, 2))
    axes = (1, 2, 3)
    shared, total = ops.sum(lines * maps, axes), ops.sum(lines, axes) + ops.sum(maps, axes)
    blank = 50.0  # keeps an image without a joint from counting every faint pixel as a whole error
    return pixels + 1 - (2 * shared + blank) / (total + blank)
