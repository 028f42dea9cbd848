"""How features become grades (paper, sections 3.2 and 3.3), and which networks there are.

As in `backbones`, Keras is imported only when a network is built.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from knee_attention.errors import InputError
from knee_attention.kl import REGRESSION
from knee_attention.limits import LARGEST_SIDE
from knee_attention.networks.backbones import BACKBONES

FUSED_OUTPUT = "kl"
"""The output of what is fused, or has no branches; others bear the names of their branches."""


@dataclass(frozen=True)
class Fusion:
    """A way from features to grades.

    Attributes:
        build: `{branch: (batch, channels) tensor}` -> `{output: (batch, 5) probabilities}`; of a
            fusion without branches, the backbone's last `(batch, height, width, channels)` tensor
            to such outputs.
        fewest, most: how many branches it takes.
        variant: what an experiment with it is called; None where the branch's name says it.
        outputs: the names of the outputs; None where each branch has one of its name.
    """

    build: Callable
    fewest: int
    most: int
    variant: str | None = None
    outputs: tuple[str, ...] | None = None


def _head_for_each(vectors: dict) -> dict:
    from knee_attention.networks.attention import grade_head

    return {branch: grade_head(vector, branch) for branch, vector in vectors.items()}


def _concatenated(vectors: dict) -> dict:
    from knee_attention.networks.attention import concatenated_head

    return {FUSED_OUTPUT: concatenated_head(list(vectors.values()), FUSED_OUTPUT)}


def _dense(features) -> dict:
    from knee_attention.networks.baselines import dense_classifier

    return {FUSED_OUTPUT: dense_classifier(features, FUSED_OUTPUT)}


def _joint(features) -> dict:
    from knee_attention.networks.baselines import joint_heads

    grades, grade = joint_heads(features, FUSED_OUTPUT, REGRESSION)
    return {FUSED_OUTPUT: grades, REGRESSION: grade}


FUSIONS = {
    "single": Fusion(_head_for_each, 1, 1),
    "early_fusion": Fusion(_concatenated, 2, 3, "early_fusion", (FUSED_OUTPUT,)),
    "multi_loss": Fusion(_head_for_each, 2, 3, "multiloss"),
    "dense": Fusion(_dense, 0, 0, "baseline", (FUSED_OUTPUT,)),
    "joint": Fusion(_joint, 0, 0, "baseline", (FUSED_OUTPUT, REGRESSION)),
}
"""One branch and its head; one head on the concatenated vectors (section 3.2); a head, and so a
loss, for each branch (section 3.3); and without attention, the baselines of Table 2."""


def outputs_of(fusion: str, branches: Sequence[str]) -> tuple[str, ...]:
    """The names of a model's outputs, in order."""
    return FUSIONS[fusion].outputs or tuple(branches)


def variant_of(fusion: str, branches: Sequence[str]) -> str:
    """What the paper's tables have as a row: a branch alone, `early_fusion`, `multiloss`, or a
    `baseline`.
    """
    return FUSIONS[fusion].variant or branches[0]


def described(branches: Sequence[str], fusion: str) -> str:
    """In words: `branches att0, att1, multi loss`, or `no attention, dense`."""
    attention = f"branches {', '.join(branches)}" if branches else "no attention"
    return f"{attention}, {fusion.replace('_', ' ')}"


def fusion_of(layers: Container[str], branches: Sequence[str]) -> str:
    """The fusion of a network, told by its layers.

    Args:
        layers: the names of all of them.
        branches: those that have a mask among them.

    Raises:
        KeyError: no fusion makes such a network.
    """
    heads = {name for name in (FUSED_OUTPUT, REGRESSION, *branches) if name in layers}
    for name, fusion in FUSIONS.items():
        fits = fusion.fewest <= len(branches) <= fusion.most
        if fits and heads == set(outputs_of(name, branches)):
            return name
    raise KeyError("fusion")


def check_architecture(
    backbone: str, branches: Sequence[str], fusion: str, image_size: Sequence[int]
) -> None:
    """Refuse what is no network of this project; Keras is not imported for it.

    Args:
        backbone, branches, fusion, image_size: as `build_model` takes them.

    Raises:
        InputError: an unknown name, branches that do not suit the fusion, images too small for
            the backbone, or too large.
    """
    if backbone not in BACKBONES:
        raise InputError(f"expected a backbone of {', '.join(BACKBONES)}. Received: {backbone!r}")
    if fusion not in FUSIONS:
        raise InputError(f"expected a fusion of {', '.join(FUSIONS)}. Received: {fusion!r}")
    chosen = BACKBONES[backbone]
    unknown = [branch for branch in branches if branch not in chosen.taps]
    if bool(branches) != bool(chosen.taps) or unknown or len(set(branches)) != len(branches):
        wanted = f"different branches of {', '.join(chosen.taps)}" if chosen.taps else "no branch"
        raise InputError(f"expected {wanted} for {backbone}. Received: {branches!r}")
    if not FUSIONS[fusion].fewest <= len(branches) <= FUSIONS[fusion].most:
        raise InputError("expected one branch for 'single', several for 'early_fusion' or "
                         "'multi_loss', none for 'dense' or 'joint'. "
                         f"Received: {branches!r} with {fusion!r}")
    if len(image_size) != 2 or not all(isinstance(side, int) for side in image_size):
        raise InputError("expected a height and a width in whole pixels. "
                         f"Received: {image_size!r}")
    height, width = image_size
    if min(height, width) < chosen.smallest:
        raise InputError(f"expected images of at least {chosen.smallest} pixels a side for "
                         f"{backbone}. Received: {height}x{width}")
    if max(height, width) > LARGEST_SIDE:
        raise InputError(f"expected images of at most {LARGEST_SIDE} pixels a side. "
                         f"Received: {height}x{width}")
