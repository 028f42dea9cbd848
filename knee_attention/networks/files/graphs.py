"""What a saved graph is: the arguments of `build_model`, read off its configuration as JSON."""

from collections.abc import Iterable, Mapping

from knee_attention.errors import InputError
from knee_attention.limits import LARGEST_SIDE
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import fusion_of, outputs_of


def graph_description(config: Mapping) -> dict:
    """The arguments of `build_model`, read off a model's configuration.

    Raises:
        InputError: it is built like a model of this project, on a backbone that is not known.
        KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError: it is of
            another kind.
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
        raise InputError(f"its backbone {name[:60]!r} is not known here; first import the module "
                         "that adds it to BACKBONES")
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
        "precision": policy if isinstance(policy, str) else policy["config"]["name"],
    }


def attention_branches(layer_names: Iterable[str]) -> list[str]:
    """The attention branches that have a mask among the layers of a network, in order."""
    return sorted(name.removesuffix("_mask") for name in layer_names if name.endswith("_mask"))
