"""The networks that the paper compares its own with: Antony et al., and related systems.

Antony et al., "Quantifying Radiographic Knee Osteoarthritis Severity using Deep Convolutional
Neural Networks" (ICPR 2016) and "Automatic Detection of Knee Joints and Quantification of Knee
Osteoarthritis Severity using Convolutional Neural Networks" (MLDM 2017). Their input is a crop of
the knee joint.

Gorriz et al., MIDL 2019, Tables 3 and 4 list the layers. Convolutions keep the size; pools do not
pad. The shapes in the tables need 3x3 pools, which the networks with attention use. The paper's
code and the parameter counts of the baselines (Table 2) need 2x2 pools.

Related systems, and VGG-16 without attention, are functions of images `(batch, height, width,
channels)`. They return the features `(batch, features)` that a grade head takes.
"""

import keras
from keras import layers

from knee_attention.networks.layers import MirrorColumns


def _convolution(x, filters: int, kernel: int, name: str, strides: int = 1):
    return layers.Conv2D(
        filters, kernel, strides=strides, padding="same", activation="relu", name=name
    )(x)


def antony_classification(images, pool: int = 3):
    """Features of the classification network (Table 3).

    Args:
        images: `(batch, height, width, channels)` tensor.
        pool: side of the pooling window; its stride is 2.

    Returns:
        the output of `pool4`, `(batch, 5, 8, 128)` for images of 200x300.
    """
    x = _pool(_convolution(images, 32, 11, "conv1", strides=2), pool, "pool1")
    x = _pool(_convolution(x, 64, 5, "conv2"), pool, "pool2")
    x = _pool(_convolution(x, 96, 3, "conv3"), pool, "pool3")
    return _pool(_convolution(x, 128, 3, "conv4"), pool, "pool4")


def antony_extended(images, pool: int = 3):
    """Features of the extended network (Table 4): two 3x3 convolutions before pools 2 to 4.

    Args:
        images: `(batch, height, width, channels)` tensor.
        pool: side of the pooling window; its stride is 2.

    Returns:
        the output of `pool4`, `(batch, 5, 8, 128)` for images of 200x300.
    """
    x = _pool(_convolution(images, 32, 11, "conv1", strides=2), pool, "pool1")
    for stage, filters in enumerate((64, 96, 128), start=2):
        x = _convolution(x, filters, 3, f"conv{stage}_1")
        x = _convolution(x, filters, 3, f"conv{stage}_2")
        x = _pool(x, pool, f"pool{stage}")
    return x


def _pool(x, size: int, name: str):
    return layers.MaxPooling2D(size, strides=2, name=name)(x)


DROPOUT = 0.3
"""Dropout rate of the joint network. The classification network's is not published; it uses the
same."""


def hidden_layer(features, units: int):
    """The dense layer below the heads of a baseline, with dropout.

    Args:
        features: `(batch, height, width, channels)` tensor.
        units: 1024 in the classification network, 512 in the joint one.

    Returns:
        `(batch, units)` tensor.
    """
    x = layers.Flatten(name="flatten")(features)
    x = layers.Dense(units, activation="relu", name="dense")(x)
    return layers.Dropout(DROPOUT, name="dropout")(x)


JETLEY_BLOCKS = ("block3", "block4", "block5")
"""Blocks of VGG-16 whose local features Jetley's network attends to."""

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
        images: crops of 300x300 pixels.

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
