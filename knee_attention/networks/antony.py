"""The networks of Antony et al., and the heads of the baselines of Table 2.

Antony et al., "Quantifying Radiographic Knee Osteoarthritis Severity using Deep Convolutional
Neural Networks" (ICPR 2016) and "Automatic Detection of Knee Joints and Quantification of Knee
Osteoarthritis Severity using Convolutional Neural Networks" (MLDM 2017). Their input is a crop of
the knee joint.

Gorriz et al., MIDL 2019, Tables 3 and 4 list the layers. Convolutions keep the size; pools do not
pad. The shapes in the tables need 3x3 pools, which the networks with attention use. The paper's
code and the parameter counts of the baselines (Table 2) need 2x2 pools.
"""

from keras import layers

from knee_attention.networks.attention import grade_head


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


def dense_classifier(features, name: str):
    """Dense layers of the classification network.

    Args:
        features: `(batch, height, width, channels)` tensor.
        name: name of the output.

    Returns:
        `(batch, 5)` float32 probabilities.
    """
    return grade_head(_hidden(features, 1024), name)


def joint_heads(features, classification: str, regression: str) -> tuple:
    """Dense layers of the joint classification and regression network.

    Args:
        features: `(batch, height, width, channels)` tensor.
        classification, regression: names of the outputs.

    Returns:
        `(batch, 5)` float32 probabilities, and `(batch, 1)` float32 grades. A regressed grade may
        be fractional or outside 0-4.
    """
    hidden = _hidden(features, 512)
    grade = layers.Dense(1, dtype="float32", name=regression)(hidden)
    return grade_head(hidden, classification), grade


def _hidden(features, units: int):
    x = layers.Flatten(name="flatten")(features)
    x = layers.Dense(units, activation="relu", name="dense")(x)
    return layers.Dropout(DROPOUT, name="dropout")(x)
