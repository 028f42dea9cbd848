"""Recover the arguments of `build_model` from a saved model's JSON configuration."""

from collections.abc import Iterable, Mapping

from knee_attention.errors import InputError
from knee_attention.limits import LARGEST_SIDE
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import fusion_of, outputs_of


def graph_description(config: Mapping) -> dict:
    """The arguments of `build_model` for a model, inferred from its Keras configuration.

    Raises:
        InputError: a model of this project with a backbone that is not in `BACKBONES`.
        KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError: not a
            model of this project.
    """
    layers = {layer["config"]["name"]: layer["config"] for layer in config["config"]["layers"]}
    pixels, height_width = layers["pixels"], layers["knee"]["batch_shape"][1:3]
    if not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in height_width):
        raise KeyError("image size")
    deviation = 1 / pixels["scale"]
    branches = attention_branches(layers)
    fusion = fusion_of(layers, branches)
    known = [
        name
        for name, backbone in BACKBONES.items()
        if backbone.known_by in layers and bool(backbone.taps) == bool(branches)
    ]
    if not known:
        name = str(config["config"]["name"]).partition(f"_{fusion}")[0]
        raise InputError(f"unknown backbone {name[:60]!r}; import the module that adds it to "
                         "BACKBONES first (knee-attention: --import MODULE)")
    [backbone] = known
    policy = layers[BACKBONES[backbone].known_by]["dtype"]
    return {
        "backbone": backbone,
        "branches": branches,
        "fusion": fusion,
        "outputs": list(outputs_of(fusion, branches)),
        "image_size": list(height_width),
        "channels": 3 if "repeat_channel" in layers else 1,
        "pixel_mean": [-offset * deviation for offset in pixels["offset"]],
        "pixel_deviation": deviation,
        "attention": _attention(config, branches),
        "precision": policy if isinstance(policy, str) else policy["config"]["name"],
    }


def attention_branches(layer_names: Iterable[str]) -> list[str]:
    """Sorted names of the branches, which begin with a layer `<branch>_norm`."""
    return sorted(name.removesuffix("_norm") for name in layer_names if name.endswith("_norm"))


def _attention(config: Mapping, branches: list[str]) -> str:
    """The kind of attention, by the class of the first branch's mask layer."""
    for layer in config["config"]["layers"]:
        if branches and layer["config"]["name"] == f"{branches[0]}_mask":
            return "shared" if layer["class_name"] == "Conv2D" else "local"
    return "none" if branches else "local"
