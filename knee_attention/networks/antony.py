"""The two networks of Antony et al., up to their last pooling layer.

Gorriz et al., MIDL 2019, Tables 3 and 4. Convolutions keep the size; pools do not pad. The shapes
in the tables need 3x3 pools, which the networks with attention use. The paper's code and the
parameter counts of the baselines (Table 2) need 2x2 pools.
"""

from keras import layers


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
