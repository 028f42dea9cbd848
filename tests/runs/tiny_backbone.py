"""A backbone that trains in seconds."""

from knee_attention.networks.backbones import Backbone


def tiny(images):
    from keras import layers

    x = layers.Conv2D(4, 5, strides=4, activation="relu", name="tiny_conv1")(images)
    x = layers.MaxPooling2D(2, name="tiny_pool1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="tiny_conv2")(x)
    return layers.MaxPooling2D(2, name="tiny_pool2")(x)


TINY = Backbone(
    build=tiny,
    taps={"att0": "tiny_pool1", "att1": "tiny_pool2"},
    smallest=64,
    known_by="tiny_conv1",
    first_convolution="tiny_conv1",
    phantom_setting={"image_size": (72, 64), "epochs": 1, "batch_size": 5, "learning_rate": 1e-3},
)
