"""Related systems that the paper names, and VGG-16 without attention, as networks to compare with.

Each function takes images `(batch, height, width, channels)` and returns the features
`(batch, features)` that a grade head takes.
"""

import keras
from keras import layers

from knee_attention.networks.layers import MirrorColumns

JETLEY_BLOCKS = ("block3", "block4", "block5")
"""Blocks of VGG-16 whose local features Jetley's network attends to."""

TIULPIN_SIZE = (300, 300)
"""Height and width of the crops in pixels that Tiulpin's patches are cut from."""

_PATCH_ROWS = (100, 72)
_PATCH_COLUMNS = {"left": (0, 172), "right": (172, 0)}


def vgg16_plain(images):
    """VGG-16 with global average pooling and no attention: 512 features."""
    network = keras.applications.VGG16(include_top=False, weights=None, input_tensor=images)
    return layers.GlobalAveragePooling2D(name="global_pool")(network.output)


def jetley(images):
    """VGG-16 with the attention of Jetley et al., "Learn to Pay Attention" (ICLR 2018).

    Three softmax masks weight the local features of blocks 3, 4 and 5, before their pooling. The
    score of a position is a 1x1 convolution, without bias, of its features plus the global
    features (the paper's parametrised compatibility). Block 3 is projected to the 512 channels of
    the global features. The global features are the mean of the last pooling layer.

    Returns:
        `(batch, 1536)`: the weighted sums of the three blocks.
    """
    network = keras.applications.VGG16(include_top=False, weights=None, input_tensor=images)
    last = network.output
    channels = last.shape[-1]
    pooled = layers.GlobalAveragePooling2D(name="global_features", keepdims=True)(last)
    sums = []
    for block in JETLEY_BLOCKS:
        local = network.get_layer(f"{block}_conv3").output
        if local.shape[-1] != channels:
            local = layers.Conv2D(channels, 1, name=f"att_{block}_projected")(local)
        joined = layers.Add(name=f"att_{block}_joined")([local, pooled])
        scores = layers.Conv2D(1, 1, use_bias=False, name=f"att_{block}_scores")(joined)
        scores = layers.Flatten(name=f"att_{block}_positions")(scores)
        mask = layers.Softmax(dtype="float32", name=f"att_{block}_attention")(scores)
        features = layers.Reshape((-1, channels), name=f"att_{block}_features")(local)
        sums.append(layers.Dot(1, dtype="float32", name=f"att_{block}_sum")([mask, features]))
    return layers.Concatenate(dtype="float32", name="attended")(sums)


def tiulpin(images):
    """The siamese network of Tiulpin et al., "Automatic Knee Osteoarthritis Diagnosis from Plain
    Radiographs: A Deep Learning-Based Approach" (Scientific Reports 2018).

    Two patches of 128x128 pixels, the lateral and the medial side of the joint, pass through the
    same convolutions; the second is mirrored.

    Args:
        images: crops of `TIULPIN_SIZE` pixels.

    Returns:
        `(batch, 512)`, after dropout.
    """
    branch = _patch_layers()
    vectors = []
    for side, columns in _PATCH_COLUMNS.items():
        x = layers.Cropping2D((_PATCH_ROWS, columns), name=f"patch_{side}")(images)
        if side == "right":
            x = MirrorColumns(name="patch_mirrored")(x)
        for layer in branch:
            x = layer(x)
        vectors.append(x)
    features = layers.Concatenate(name="patches")(vectors)
    return layers.Dropout(0.2, name="dropout")(features)


def _patch_layers() -> list[keras.Layer]:
    """The layers that both patches share: 3x3 convolutions with batch normalisation and ReLU."""
    shared, number = [], 0
    for block, filters in enumerate([(64, 64, 64), (128, 128), (256,)]):
        if block:
            shared.append(layers.MaxPooling2D(2, name=f"patch_pool{block}"))
        for count in filters:
            number += 1
            strides = 2 if number == 1 else 1
            shared += [
                layers.Conv2D(count, 3, strides=strides, name=f"patch_conv{number}"),
                layers.BatchNormalization(name=f"patch_bn{number}"),
                layers.Activation("relu", name=f"patch_relu{number}"),
            ]
    return [*shared, layers.GlobalAveragePooling2D(name="patch_mean")]
