"""How the feature vectors of the attention branches become grades (paper, sections 3.2 and 3.3).

As in `backbones`, Keras is imported only when a network is built.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

FUSED_OUTPUT = "kl"
"""The one output of branches that are fused; other outputs bear the names of their branches."""


@dataclass(frozen=True)
class Fusion:
    """A way from feature vectors to grades.

    Attributes:
        build: `{branch: (batch, channels) tensor}` -> `{output: (batch, 5) probabilities}`.
        several: whether it takes several branches, or one alone.
        variant: what an experiment with it is called; None where the branch's name says it.
        fused: whether all branches share one output, `FUSED_OUTPUT`.
    """

    build: Callable
    several: bool
    variant: str | None = None
    fused: bool = False


def _head_for_each(vectors: dict) -> dict:
    from knee_attention.networks.attention import grade_head

    return {branch: grade_head(vector, branch) for branch, vector in vectors.items()}


def _concatenated(vectors: dict) -> dict:
    from knee_attention.networks.attention import concatenated_head

    return {FUSED_OUTPUT: concatenated_head(list(vectors.values()), FUSED_OUTPUT)}


FUSIONS = {
    "single": Fusion(_head_for_each, several=False),
    "early_fusion": Fusion(_concatenated, several=True, variant="early_fusion", fused=True),
    "multi_loss": Fusion(_head_for_each, several=True, variant="multiloss"),
}
"""One branch and its head; one head on the concatenated vectors (section 3.2); a head, and so a
loss, for each branch (section 3.3)."""


def outputs_of(fusion: str, branches: Sequence[str]) -> tuple[str, ...]:
    """The names of a model's outputs, in order."""
    return (FUSED_OUTPUT,) if FUSIONS[fusion].fused else tuple(branches)


def variant_of(fusion: str, branches: Sequence[str]) -> str:
    """What the paper's Table 1 has as a row: a branch alone, `early_fusion` or `multiloss`."""
    return FUSIONS[fusion].variant or branches[0]


def fusion_of(layers: Container[str], branches: Sequence[str]) -> str:
    """The fusion of a network, told by its layers.

    Args:
        layers: the names of all of them.
        branches: those that have a mask among them.

    Raises:
        KeyError: no fusion makes such a network.
    """
    for name, fusion in FUSIONS.items():
        if fusion.several == (len(branches) > 1) and fusion.fused == (FUSED_OUTPUT in layers):
            return name
    raise KeyError("fusion")
