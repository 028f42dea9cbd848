"""Backbones: their entries, the original's layers, and attention on other networks."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from knee_attention.networks.attention import masks_among, with_masks
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.comparators import antony_classification, antony_extended
from knee_attention.networks.fusions import fusion_of, outputs_of, variant_of
from knee_attention.networks.model import attach_attention


@pytest.fixture(scope="module")
def networks():
    """`{backbone: whole network}` at the smallest image size."""
    built = {}
    for name, backbone in BACKBONES.items():
        images = keras.Input((backbone.smallest, backbone.smallest, 1))
        built[name] = keras.Model(images, backbone.build(images))
    return built


def test_an_experiment_and_the_paper_are_known_without_keras():
    code = ("import sys; import knee_attention.commands.scripts.tables; "
            "import knee_attention.evidence.paper; "
            "sys.exit(bool({'keras', 'tensorflow', 'numpy', 'cv2'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", BACKBONES)
def test_the_smallest_image_leaves_every_tap_a_grid(name, networks):
    for tap in BACKBONES[name].taps.values():
        assert min(networks[name].get_layer(tap).output.shape[1:3]) >= 2


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_is_known_by_a_layer_that_no_other_of_its_kind_has(name, networks):
    known_by = BACKBONES[name].known_by
    having = [
        other for other, network in networks.items()
        if known_by in [layer.name for layer in network.layers]
        and bool(BACKBONES[other].taps) == bool(BACKBONES[name].taps)
    ]  # fmt: skip
    assert having == [name]
    if not BACKBONES[name].taps:
        return
    shallow = networks[name].get_layer(BACKBONES[name].taps["att0"])
    before = keras.Model(networks[name].inputs, shallow.output)
    assert known_by in [layer.name for layer in before.layers]


@pytest.mark.parametrize("name", BACKBONES)
def test_the_first_convolution_is_the_one_that_takes_the_image(name, networks):
    convolutions = [
        layer for layer in networks[name].layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert convolutions[0].name == BACKBONES[name].first_convolution


@pytest.mark.parametrize(
    ("fusion", "branches", "outputs", "variant"),
    [
        ("single", ("att2",), ("att2",), "att2"),
        ("early_fusion", ("att0", "att1"), ("kl",), "early_fusion"),
        ("multi_loss", ("att0", "att1"), ("att0", "att1"), "multiloss"),
    ],
)
def test_a_fusion_is_told_by_the_outputs_it_makes(fusion, branches, outputs, variant):
    assert outputs_of(fusion, branches) == outputs
    assert variant_of(fusion, branches) == variant
    assert fusion_of({"conv1", *outputs}, branches) == fusion


def test_one_branch_that_is_fused_is_no_network_of_this_project():
    with pytest.raises(KeyError):
        fusion_of({"kl", "conv1"}, ("att0",))


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


NETWORKS = {
    "MobileNetV2": ("block_6_expand_relu", "block_13_expand_relu"),
    "DenseNet121": ("pool2_relu", "pool3_relu"),
    "EfficientNetV2B0": ("block4a_expand_activation", "block6a_expand_activation"),
    "ConvNeXtTiny": (
        "convnext_tiny_stage_1_block_2_identity", "convnext_tiny_stage_2_block_8_identity",
    ),
}  # fmt: skip
SIZE = (64, 96, 3)


def network(name="MobileNetV2"):
    return getattr(keras.applications, name)(input_shape=SIZE, include_top=False, weights=None)


@pytest.fixture(scope="module")
def mobile_net():
    """A network that no test changes."""
    return network()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_keras_gets_masks_and_is_saved_and_loaded_by_keras(name, tmp_path):
    shallow, deep = NETWORKS[name]
    model = attach_attention(network(name), {"att0": shallow, "att1": deep}, classes=3)
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE)).astype("float32")
    values = {key: np.asarray(value) for key, value in with_masks(model)(images).items()}
    assert values["att0"].shape == values["att1"].shape == (2, 3)
    np.testing.assert_allclose(values["att0"].sum(axis=1), 1, atol=1e-5)
    masks = masks_among(values)
    for branch, layer in (("att0", shallow), ("att1", deep)):
        assert masks[branch].shape == (2, *model.get_layer(layer).output.shape[1:3])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(loaded(images)["att1"]), values["att1"], atol=1e-5)


@pytest.mark.parametrize(
    ("fusion", "branches", "outputs"),
    [("single", 1, {"att0"}), ("multi_loss", 2, {"att0", "att1"}), ("early_fusion", 2, {"kl"})],
)
def test_each_fusion_has_its_outputs(mobile_net, fusion, branches, outputs):
    taps = dict(list(zip(("att0", "att1"), NETWORKS["MobileNetV2"], strict=True))[:branches])
    model = attach_attention(mobile_net, taps, fusion)
    assert set(model.output) == outputs
    assert all(probabilities.shape == (None, 5) for probabilities in model.output.values())


@pytest.mark.parametrize(("attention", "mask_weights"), [
    ("local", 4 * 6 * (16 + 1)), ("shared", 16 + 1), ("none", None),
])  # fmt: skip
def test_each_kind_of_mask_has_its_weights(attention, mask_weights):
    features = keras.Input((4, 6, 8))
    given = keras.Model(features, keras.layers.Activation("relu", name="tap")(features))
    model = attach_attention(given, {"att0": "tap"}, "single", attention)
    counted = {layer.name: layer.count_params() for layer in model.layers}
    assert counted.get("att0_mask") == mask_weights
    convolutions = 0 if attention == "none" else (8 + 1) * 64 + (64 + 1) * 16
    assert model.count_params() == 4 * 8 + convolutions + (mask_weights or 0) + (8 + 1) * 5


def test_without_a_mask_a_branch_is_the_mean_of_its_features():
    features = keras.Input((4, 6, 8))
    given = keras.Model(features, keras.layers.Activation("linear", name="tap")(features))
    model = attach_attention(given, {"att0": "tap"}, "single", "none")
    values = np.random.default_rng(0).normal(size=(3, 4, 6, 8)).astype("float32")
    kernel, bias = model.get_layer("att0").get_weights()
    logits = values.mean(axis=(1, 2)) / np.sqrt(1 + 1e-3) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(model(values)["att0"]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("taps", "options", "reason"),
    [
        ({"att0": "block_6_expand_rel"}, {}, "no layer 'block_6_expand_rel'; did you mean block_6"),
        ({"att0": "flat"}, {}, r"expected a layer with an output .* Received: 'flat'"),
        ({"att0": "twice"}, {}, "uses its layer 'twice' more than once"),
        ({"att0": "out_relu", "att1": "out_relu"}, {"fusion": "multi_loss"}, "a different layer"),
        ({}, {}, "expected one branch for 'single'"),
        ({"att0": "out_relu"}, {"fusion": "dense"}, "expected a fusion of single, early_fusion"),
        ({"att0": "out_relu"}, {"attention": "global"}, "expected an attention of local, shared"),
    ],
)
def test_what_cannot_be_attached_is_named(mobile_net, taps, options, reason):
    given = mobile_net
    twice = keras.layers.Activation("relu", name="twice")
    flat = keras.layers.GlobalAveragePooling2D(name="flat")(twice(twice(given.output)))
    given = keras.Model(given.input, flat)
    with pytest.raises(ValueError, match=reason):
        attach_attention(given, taps, **{"fusion": "single", **options})


def test_a_layer_that_another_model_called_first_is_tapped_where_it_is_given():
    layer = keras.layers.Conv2D(3, 3, name="tap")
    elsewhere = keras.Input(SIZE)
    keras.Model(elsewhere, layer(elsewhere))
    given = keras.Sequential([keras.Input(SIZE)])
    for step in (layer, keras.layers.Activation("relu", name="after")):
        given.add(step)  # each calls all layers again
    model = attach_attention(given, {"att0": "tap", "att1": "after"}, "multi_loss")
    calls = [node for nodes in model._nodes_by_depth.values() for node in nodes
             if node.operation is layer]  # fmt: skip
    assert len(calls) == 1 and set(model.output) == {"att0", "att1"}


class Narrow(keras.Model):
    """A functional model with a constructor of its own, and a layer without a configuration."""

    class Negated(keras.layers.Layer):
        def __init__(self, factor):
            super().__init__(name="tap")
            self.factor = factor

        def call(self, features):
            return self.factor * features

    def __init__(self, width):
        images = keras.Input(SIZE)
        features = self.Negated(-1)(keras.layers.Conv2D(width, 3, name="convolution")(images))
        super().__init__(images, features)


def test_a_network_that_cannot_be_configured_is_taken_and_other_models_may_share_its_layers():
    given = Narrow(4)
    given.get_layer("tap")(given.output)  # a call outside the model
    model = attach_attention(given, {"att0": "tap"}, "single")
    assert model.output["att0"].shape == (None, 5)


def test_a_sequential_network_is_taken_once_its_input_is_known():
    layers = [keras.layers.Conv2D(8, 3, name="convolution"), keras.layers.ReLU(name="tap")]
    model = attach_attention(keras.Sequential([keras.Input(SIZE), *layers]), {"att0": "tap"},
                             "single")  # fmt: skip
    assert model.output["att0"].shape == (None, 5)
    with pytest.raises(ValueError, match="expected a functional model"):
        attach_attention(keras.Sequential(layers), {"att0": "tap"}, "single")
