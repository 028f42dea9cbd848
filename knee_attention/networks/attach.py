"""Attention branches on any Keras model ("can be easily integrated to any convolutional neural
network", Gorriz et al., MIDL 2019, section 5).
"""

from collections.abc import Mapping
from difflib import get_close_matches

import keras

from knee_attention.kl import GRADES
from knee_attention.networks.attention import attention_branch
from knee_attention.networks.fusions import FUSIONS

WITH_BRANCHES = [name for name, fusion in FUSIONS.items() if fusion.most]


def attach_attention(
    model: keras.Model,
    taps: Mapping[str, str],
    fusion: str = "multi_loss",
    attention: str = "local",
    classes: int = len(GRADES),
    name: str | None = None,
) -> keras.Model:
    """Attach attention branches to named layers of a functional or sequential Keras model.

    Layers of the model behind the deepest tap are left out. The weights are those of `model`, not
    copies.

    Args:
        model: the network, with any input.
        taps: `{branch: layer}`, from the name of a branch, such as `"att0"`, to the name of a layer
            with an output `(batch, height, width, channels)`.
        fusion: `"single"` (one branch), `"early_fusion"` or `"multi_loss"` (two branches or three).
        attention: how masks are computed: one of `limits.ATTENTIONS`.
        classes: the number of classes.
        name: the name of the new model; by default that of `model`.

    Returns:
        A model from the same input to a dict of `(batch, classes)` float32 probabilities, keyed by
        branch, or by `"kl"` for early fusion.

    Raises:
        ValueError: a model without a graph; an unknown fusion, kind of attention or layer; a layer
            that two branches tap, that the model uses more than once, or whose output is not
            `(batch, height, width, channels)`.

    Example:

    >>> network = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None)
    >>> model = attach_attention(network, {"att0": "block_6_expand_relu", "att1": "out_relu"})
    >>> {branch: probabilities.shape for branch, probabilities in model.output.items()}
    {'att0': (None, 5), 'att1': (None, 5)}
    """
    if not getattr(model, "inputs", None):
        raise ValueError("expected a functional model, or a sequential one whose input is known. "
                         f"Received: {model!r}")
    if fusion not in WITH_BRANCHES:
        raise ValueError(f"expected a fusion of {', '.join(WITH_BRANCHES)}. Received: {fusion!r}")
    if not FUSIONS[fusion].fewest <= len(taps) <= FUSIONS[fusion].most:
        raise ValueError("expected one branch for 'single', two or three for the other fusions. "
                         f"Received: {', '.join(taps) or 'none'} with {fusion!r}")
    if len(set(taps.values())) < len(taps):
        raise ValueError(f"expected a different layer for each branch. Received: {dict(taps)}")
    vectors = {
        branch: attention_branch(_output_of(model, layer), branch, attention)
        for branch, layer in taps.items()
    }
    outputs = FUSIONS[fusion].build(vectors, classes)
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.Model(inputs, outputs, name=name or model.name)


def _output_of(model: keras.Model, layer: str):
    """The `(batch, height, width, channels)` output of a layer."""
    known = [known.name for known in model.layers]
    if layer not in known:
        near = get_close_matches(layer, known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"{model.name} has no layer {layer!r}{hint}")
    [entry] = [entry for entry in model.get_config()["layers"] if entry["config"]["name"] == layer]
    if len(entry.get("inbound_nodes", ())) > 1:
        raise ValueError(f"{model.name} uses its layer {layer!r} more than once, so that its "
                         "output is not one tensor")
    features = model.get_layer(layer).output
    if not isinstance(features, keras.KerasTensor) or len(features.shape) != 4:
        shape = getattr(features, "shape", "several tensors")
        raise ValueError(f"expected a layer with an output (batch, height, width, channels). "
                         f"Received: {layer!r} with {shape}")
    return features
