"""The entries of `BACKBONES`, which need no Keras."""

import subprocess
import sys

import keras
import pytest

from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import fusion_of, outputs_of, variant_of


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
