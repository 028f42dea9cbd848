"""The two networks of Antony et al., up to their last pooling layer.

Gorriz et al., MIDL 2019, Tables 3 and 4. Convolutions keep the size, pools do not pad.
"""

from keras import layers


def _convolution(x, filters: int, kernel: int, name: str, strides: int = 1):
    return layers.Conv2D(
        filters, kernel, strides=strides, padding="same", activation="relu", name=name
    )(x)


def _pool(x, name: str):
    return layers.MaxPooling2D(3, strides=2, name=name)(x)


def antony_classification(images):
    """The classification network of Table 3.

    Args:
        images: `(batch, height, width, channels)` tensor.

    Returns:
        the output of `pool4`, `(batch, 5, 8, 128)` for images of 200x300.
    """
    x = _pool(_convolution(images, 32, 11, "conv1", strides=2), "pool1")
    x = _pool(_convolution(x, 64, 5, "conv2"), "pool2")
    x = _pool(_convolution(x, 96, 3, "conv3"), "pool3")
    return _pool(_convolution(x, 128, 3, "conv4"), "pool4")


def antony_extended(images):
    """The network of Table 4: two 3x3 convolutions before each pool but the first.

    Args:
        images: `(batch, height, width, channels)` tensor.

    Returns:
        the output of `pool4`, `(batch, 5, 8, 128)` for images of 200x300.
    """
    x = _pool(_convolution(images, 32, 11, "conv1", strides=2), "pool1")
    for stage, filters in enumerate((64, 96, 128), start=2):
        x = _convolution(x, filters, 3, f"conv{stage}_1")
        x = _convolution(x, filters, 3, f"conv{stage}_2")
        x = _pool(x, f"pool{stage}")
    return x
