"""Fusions: from features to grades (paper, sections 3.2 and 3.3); the check of an architecture.

As in `backbones`, Keras is imported only when a network is built.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from knee_attention.errors import InputError
from knee_attention.limits import GRADES, LARGEST_SIDE, REGRESSION
from knee_attention.networks.backbones import BACKBONES

FUSED_OUTPUT = "kl"
"""Name of the output of early fusion and of the baselines. Other outputs have their branch's name.
"""


@dataclass(frozen=True)
class Fusion:
    """The heads that turn features into grades.

    Attributes:
        build: function from `{branch: (batch, channels) tensor}` to
            `{output: (batch, classes) probabilities}`; the number of classes is its second
            argument, by default 5. Without branches its only argument is the backbone's last
            tensor: `(batch, height, width, channels)`, or `(batch, features)` for `plain`.
            The grades `(batch, 1)` of the joint network may be fractional or outside 0-4.
        fewest, most: smallest and largest number of branches.
        variant: name of the variant in the tables; None if it is the branch's name.
        outputs: names of the outputs; None if each branch has an output of its own name.
        layer: name of a layer that tells this fusion from others with the same outputs, or None.
    """

    build: Callable
    fewest: int
    most: int
    variant: str | None = None
    outputs: tuple[str, ...] | None = None
    layer: str | None = None


def _head_for_each(vectors: dict, classes: int = len(GRADES)) -> dict:
    from knee_attention.networks.attention import grade_head

    return {branch: grade_head(vector, branch, classes) for branch, vector in vectors.items()}


def _concatenated(vectors: dict, classes: int = len(GRADES)) -> dict:
    from keras import layers

    from knee_attention.networks.attention import grade_head

    fused = layers.Concatenate(name="fusion")(list(vectors.values()))
    fused = layers.Dense(256, activation="relu", name="fusion_dense")(fused)
    return {FUSED_OUTPUT: grade_head(fused, FUSED_OUTPUT, classes)}


def _dense(features) -> dict:
    from knee_attention.networks.attention import grade_head
    from knee_attention.networks.comparators import hidden_layer

    return {FUSED_OUTPUT: grade_head(hidden_layer(features, 1024), FUSED_OUTPUT)}


def _plain(features) -> dict:
    from knee_attention.networks.attention import grade_head

    return {FUSED_OUTPUT: grade_head(features, FUSED_OUTPUT)}


def _joint(features) -> dict:
    from keras import layers

    from knee_attention.networks.attention import grade_head
    from knee_attention.networks.comparators import hidden_layer

    vector = hidden_layer(features, 512)
    grade = layers.Dense(1, dtype="float32", name=REGRESSION)(vector)
    return {FUSED_OUTPUT: grade_head(vector, FUSED_OUTPUT), REGRESSION: grade}


FUSIONS = {
    "single": Fusion(_head_for_each, 1, 1),
    "early_fusion": Fusion(_concatenated, 2, 3, "early_fusion", (FUSED_OUTPUT,)),
    "multi_loss": Fusion(_head_for_each, 2, 3, "multiloss"),
    "dense": Fusion(_dense, 0, 0, "baseline", (FUSED_OUTPUT,), "dense"),
    "joint": Fusion(_joint, 0, 0, "baseline", (FUSED_OUTPUT, REGRESSION)),
    "plain": Fusion(_plain, 0, 0, "baseline", (FUSED_OUTPUT,)),
}
"""`single`: one branch and its head. `early_fusion`: one head on the concatenated vectors (section
3.2). `multi_loss`: a head and a loss per branch (section 3.3). `dense` and `joint`: the baselines
of Table 2, without attention. `plain`: a head on the features of a network of `comparators`."""


def outputs_of(fusion: str, branches: Sequence[str]) -> tuple[str, ...]:
    """Names of a model's outputs, in order."""
    return FUSIONS[fusion].outputs or tuple(branches)


def variant_of(fusion: str, branches: Sequence[str]) -> str:
    """The row in the paper's tables: a branch's name, `early_fusion`, `multiloss` or `baseline`."""
    return FUSIONS[fusion].variant or branches[0]


def described(branches: Sequence[str], fusion: str) -> str:
    """Text such as `branches att0, att1, multi loss` or `no attention, dense`."""
    attention = f"branches {', '.join(branches)}" if branches else "no attention"
    return f"{attention}, {fusion.replace('_', ' ')}"


def fusion_of(layers: Container[str], branches: Sequence[str]) -> str:
    """The fusion of a network, inferred from its layer names.

    Args:
        layers: names of all layers.
        branches: names of the attention branches.

    Raises:
        KeyError: no fusion has such layers.
    """
    heads = {name for name in (FUSED_OUTPUT, REGRESSION, *branches) if name in layers}
    for name, fusion in FUSIONS.items():
        fits = fusion.fewest <= len(branches) <= fusion.most
        if fusion.layer and fusion.layer not in layers:
            continue
        if fits and heads == set(outputs_of(name, branches)):
            return name
    raise KeyError("fusion")


def check_architecture(
    backbone: str, branches: Sequence[str], fusion: str, image_size: Sequence[int]
) -> None:
    """Refuse arguments that `build_model` cannot build. Keras is not imported.

    Args:
        backbone, branches, fusion, image_size: as in `build_model`.

    Raises:
        InputError: an unknown name, branches that do not fit the fusion, or images that are too
            small for the backbone or too large.
    """
    if backbone not in BACKBONES:
        raise InputError(f"expected one of the backbones {', '.join(BACKBONES)}. "
                         f"Received: {backbone!r}")
    if fusion not in FUSIONS:
        raise InputError(f"expected one of the fusions {', '.join(FUSIONS)}. Received: {fusion!r}")
    chosen = BACKBONES[backbone]
    unknown = [branch for branch in branches if branch not in chosen.taps]
    if bool(branches) != bool(chosen.taps) or unknown or len(set(branches)) != len(branches):
        wanted = f"distinct branches from {', '.join(chosen.taps)}" if chosen.taps else "no branch"
        raise InputError(f"expected {wanted} for {backbone}. Received: {branches!r}")
    if not FUSIONS[fusion].fewest <= len(branches) <= FUSIONS[fusion].most:
        raise InputError("expected one branch for 'single', several for 'early_fusion' or "
                         "'multi_loss', none for 'dense', 'joint' or 'plain'. "
                         f"Received: {branches!r} with {fusion!r}")
    if chosen.fusion not in (None, fusion):
        raise InputError(f"expected {chosen.fusion!r} for {backbone}, which has no attention "
                         f"branch. Received: {fusion!r}")
    if len(image_size) != 2 or not all(isinstance(side, int) for side in image_size):
        raise InputError("expected an image size of two integers, height and width. "
                         f"Received: {image_size!r}")
    height, width = image_size
    if chosen.image_size not in (None, (height, width)):
        wanted = "x".join(map(str, chosen.image_size))
        raise InputError(f"expected images of {wanted} pixels for {backbone}. "
                         f"Received: {height}x{width}")
    if min(height, width) < chosen.smallest:
        raise InputError(f"expected images of at least {chosen.smallest} pixels a side for "
                         f"{backbone}. Received: {height}x{width}")
    if max(height, width) > LARGEST_SIDE:
        raise InputError(f"expected images of at most {LARGEST_SIDE} pixels a side. "
                         f"Received: {height}x{width}")
