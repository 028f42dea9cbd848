import keras
import pytest

from knee_attention.networks.antony import antony_classification, antony_extended

# Output shapes of Tables 3 and 4 of the paper, for images of 200x300.
TABLE_3 = {
    "conv1": (100, 150, 32), "pool1": (49, 74, 32),
    "conv2": (49, 74, 64), "pool2": (24, 36, 64),
    "conv3": (24, 36, 96), "pool3": (11, 17, 96),
    "conv4": (11, 17, 128), "pool4": (5, 8, 128),
}  # fmt: skip
TABLE_4 = {
    "conv1": (100, 150, 32), "pool1": (49, 74, 32),
    "conv2_1": (49, 74, 64), "conv2_2": (49, 74, 64), "pool2": (24, 36, 64),
    "conv3_1": (24, 36, 96), "conv3_2": (24, 36, 96), "pool3": (11, 17, 96),
    "conv4_1": (11, 17, 128), "conv4_2": (11, 17, 128), "pool4": (5, 8, 128),
}  # fmt: skip


@pytest.mark.parametrize(
    ("build", "table"), [(antony_classification, TABLE_3), (antony_extended, TABLE_4)]
)
def test_shapes_are_the_printed_ones(build, table):
    images = keras.Input((200, 300, 1))
    network = keras.Model(images, build(images))
    shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in network.layers[1:]}
    assert shapes == table
