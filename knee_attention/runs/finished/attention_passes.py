"""Passes of a network with attention: as trained, with other masks, and with shuffled weights."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from knee_attention.datasets.batches import EVALUATION_BATCH
from knee_attention.datasets.knees import Knees
from knee_attention.evidence.predictions import own_subjects
from knee_attention.networks.taps import (
    Features,
    TappedNetwork,
    layers_downwards,
    shuffle_weights,
    weights_restored,
)

STAGES = 5
"""Largest number of stages in which a backbone is shuffled."""


@dataclass(frozen=True)
class Pass:
    """The features, probabilities and masks that a network computes for some knees.

    Attributes:
        network: the network.
        knees: the knees.
        batches: the features at the taps, batch by batch. They stay in memory.
        probabilities: `{output: (n, classes)}`.
        masks: `{branch: (n, h, w)}` in 0-1.
    """

    network: TappedNetwork
    knees: Knees
    batches: list[Features]
    probabilities: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]

    @property
    def subjects(self) -> list[str]:
        """The person of each knee."""
        return own_subjects(self.knees.files, self.knees.subjects)

    def with_masks(self, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Probabilities `{output: (n, classes)}` with other masks.

        Args:
            masks: `{branch: (n, h, w)}`; the other branches keep their own masks.
        """
        given = {**self.masks, **masks}
        return _joined([
            self.network.with_masks(features, {name: each[part] for name, each in given.items()})
            for features, part in self._parts()
        ])  # fmt: skip

    def activation_maps(self, branch: str) -> dict[str, np.ndarray]:
        """Grad-CAM and HiResCAM of a branch's tap for the predicted grades, each `(n, h, w)`."""
        grades = self.probabilities[self.network.output_of(branch)].argmax(axis=1)
        return _joined([self.network.activation_maps(features, branch, grades[part])
                        for features, part in self._parts()])  # fmt: skip

    def _parts(self) -> Iterator[tuple[Features, slice]]:
        """The features of each batch, and the positions of its knees."""
        for number, features in enumerate(self.batches):
            yield features, slice(number * EVALUATION_BATCH, (number + 1) * EVALUATION_BATCH)


def run_pass(network: TappedNetwork, knees: Knees, advance: Callable[[int], object]) -> Pass:
    """Run a network on knees.

    Args:
        network: the network.
        knees: prepared knees at its image size.
        advance: called with the number of knees of each batch.
    """
    batches = []
    for start in range(0, len(knees), EVALUATION_BATCH):
        positions = np.arange(start, min(start + EVALUATION_BATCH, len(knees)))
        batches.append(network.features(knees.images[positions]))
        advance(len(positions))
    return Pass(network, knees, batches, *_values(network, batches))


def stages(network: TappedNetwork) -> list[list]:
    """The layers of the backbone, from its top to the input, in at most `STAGES` groups."""
    layers = layers_downwards(network.below)
    groups = np.array_split(np.arange(len(layers)), min(STAGES, len(layers)))
    return [[layers[position] for position in group] for group in groups]


def shuffled_masks(
    trained: Pass, parts: list[np.ndarray], advance: Callable[[int], object]
) -> dict[str, dict[str, np.ndarray]]:
    """The masks when weights are shuffled, from the top of the backbone down to its input.

    The weights are restored afterwards.

    Args:
        trained: a pass of the network as trained.
        parts: positions of knees in that pass. Weights are shuffled anew for each part.
        advance: called with the number of knees of each batch.

    Returns:
        `{branch: {"kept": masks, "shuffled": masks}}`, each `(stages + 1, n, h, w)`: with the
        attention layers as trained, and with those shuffled first. At the first stage the backbone
        is as trained. The knees are in the order of the parts.
    """
    network = trained.network
    found = []
    for seed, positions in enumerate(parts):
        generator = np.random.default_rng(seed)
        knees = trained.knees.take(positions)
        with weights_restored(network.model):
            first = _masks_of_stage(trained, seed)
            found.append([{kind: {branch: masks[positions] for branch, masks in each.items()}
                           for kind, each in first.items()}])  # fmt: skip
            for layers in stages(network):
                shuffle_weights(layers, generator)
                found[-1].append(_masks_of_stage(run_pass(network, knees, advance), seed))
    return {
        branch: {
            kind: np.concatenate(
                [np.array([stage[kind][branch] for stage in part]) for part in found], axis=1
            )
            for kind in ("kept", "shuffled")
        }
        for branch in network.masked
    }


def _masks_of_stage(stage: Pass, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """The masks of a pass, and those of the same features with shuffled attention layers."""
    network = stage.network
    with weights_restored(network.above):
        shuffle_weights(network.attention_layers(), np.random.default_rng((seed, 1)))
        return {"kept": stage.masks, "shuffled": _values(network, stage.batches)[1]}


def _values(network: TappedNetwork, batches: list[Features]) -> tuple[dict, dict]:
    """Probabilities `{output: (n, classes)}` and masks `{branch: (n, h, w)}` of all batches."""
    found = [network.values(features) for features in batches]
    return tuple(_joined([one[part] for one in found]) for part in (0, 1))


def _joined(batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
