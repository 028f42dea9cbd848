"""Audit a model's attention: passes of its network, measured by `evidence.audit`."""

from dataclasses import dataclass

import keras
import numpy as np
from tqdm import tqdm

from knee_attention.datasets.knees import Knees, stratified_subset
from knee_attention.errors import InputError
from knee_attention.evidence import audit as measures
from knee_attention.networks.taps import TappedNetwork
from knee_attention.runs.finished.attention_passes import (
    Pass,
    run_pass,
    shuffled_masks,
    stages,
)

SHUFFLED_KNEES, SHUFFLINGS = 84, 3
"""Largest number of knees that are run with shuffled weights, and the number of shufflings among
which they are divided. Five passes over 84 knees cost half as much as one over 800."""


@dataclass(frozen=True)
class Audit:
    """The findings of an audit.

    Attributes:
        results: the entries of `audit.json` about these knees.
        mean_masks: `{branch: (h, w)}`, the mean mask of the knees.
    """

    results: dict
    mean_masks: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Shuffled:
    """Masks of networks with shuffled weights, and the positions of their knees in a pass."""

    masks: dict[str, dict[str, np.ndarray]]
    positions: np.ndarray
    down_to: list[str]


def audit(model: keras.Model, knees: Knees, with_joints: Knees | None = None) -> Audit:
    """Measure where a model's attention lies, whether it follows the image, whether it matters.

    Features at the taps stay in memory: 1.2 MB a knee for VGG-16 att0 + att1 at 224x224.

    Args:
        model: a model of `build_model` or `attach_attention`.
        knees: prepared knees at the model's image size.
        with_joints: knees whose joints are known (`Knees.masks`), to measure where attention lies;
            by default `knees`, if their joints are known.

    Returns:
        the audit. In its results `knees` counts the knees of each part, and `branches` holds
        `where`, `image` and `matters` of each branch. A part that cannot be measured is empty.

    Raises:
        InputError: the model has no attention branches, or fewer classes than the knees have.
    """
    network = TappedNetwork(model)
    _refuse_other_classes(model, knees)
    if with_joints is None and knees.masks is not None:
        with_joints = knees
    apart = with_joints is not None and with_joints is not knees
    located = with_joints or knees
    chosen = stratified_subset(located.grades, SHUFFLED_KNEES, 0)
    parts = np.array_split(chosen, min(SHUFFLINGS, len(chosen))) if network.masked else []
    down_to = [group[-1].name for group in stages(network)]
    count = len(knees) + len(down_to) * sum(map(len, parts))
    if apart:
        count += len(located)
    with tqdm(total=count, desc="audit", unit="knee", disable=None) as bar:
        seen = run_pass(network, knees, bar.update)
        pointed = run_pass(network, located, bar.update) if apart else seen
        masks = shuffled_masks(pointed, parts, bar.update)
    shuffled = _Shuffled(masks, chosen, down_to)
    branches = {
        branch: {
            "where": {} if with_joints is None else _where(branch, pointed, shuffled),
            "image": _image(branch, seen, pointed, shuffled) if branch in seen.masks else {},
            "matters": _matters(branch, seen),
        }
        for branch in network.branches
    }
    results = {
        "knees": {
            "where": 0 if with_joints is None else len(with_joints),
            "image": len(knees),
            "shuffled": sum(map(len, parts)),
            "matters": len(knees),
        },
        "persons": len(set(seen.subjects)),
        "shufflings": len(parts),
        "outputs": {branch: network.output_of(branch) for branch in network.branches},
        "branches": branches,
    }
    return Audit(results, {branch: each.mean(axis=0) for branch, each in seen.masks.items()})


def _refuse_other_classes(model: keras.Model, knees: Knees) -> None:
    highest = int(knees.grades.max())
    for output, probabilities in model.output.items():
        if highest >= probabilities.shape[-1]:
            raise InputError(f"{model.name}: output {output} has {probabilities.shape[-1]} classes,"
                             f" and the knees have grades up to {highest}")


def _where(branch: str, pointed: Pass, shuffled: _Shuffled) -> dict:
    joints, grid = pointed.knees.masks, pointed.network.grid(branch)
    maps, rows = {}, {}
    if branch in pointed.masks:
        own = pointed.masks[branch]
        maps = {measures.OWN: own, measures.MEAN: np.broadcast_to(own.mean(axis=0), own.shape)}
        some = [joints[position] for position in shuffled.positions]
        found = measures.where(shuffled.masks[branch]["kept"][-1], some, grid)
        rows[measures.SHUFFLED] = {name: np.full(len(joints), np.nan) for name in found}
        for name, values in found.items():
            rows[measures.SHUFFLED][name][shuffled.positions] = values
    maps |= pointed.activation_maps(branch)
    maps[measures.BAND] = [measures.horizontal_band(joint.shape) for joint in joints]
    maps[measures.UNIFORM] = np.ones((len(joints), *grid))
    rows = {name: measures.where(masks, joints, grid) for name, masks in maps.items()} | rows
    return measures.estimates(rows, pointed.subjects)


def _image(branch: str, seen: Pass, pointed: Pass, shuffled: _Shuffled) -> dict:
    masks = seen.masks[branch]
    pairs = {"with the mean mask": masks.mean(axis=0)}
    others = measures.of_other_persons(seen.subjects)
    if others is not None:
        pairs["with another knee's mask"] = masks[others]
    trained = pointed.masks[branch][shuffled.positions]
    subjects = [pointed.subjects[position] for position in shuffled.positions]
    found = {
        kind: [
            measures.estimate(measures.correlations(stage, trained), subjects)
            for stage in shuffled.masks[branch][kind]
        ]
        for kind in ("kept", "shuffled")
    }
    return {
        "correlation": {name: measures.estimate(measures.correlations(masks, other), seen.subjects)
                        for name, other in pairs.items()},
        "down_to": ["", *shuffled.down_to],
        "attention_layers_kept": found["kept"],
        "attention_layers_shuffled": found["shuffled"],
    }  # fmt: skip


def _matters(branch: str, seen: Pass) -> dict:
    grades, output = seen.knees.grades, seen.network.output_of(branch)
    own = measures.grade_scores(grades, seen.probabilities[output])
    if branch not in seen.masks:
        return measures.estimates({measures.NO_MASK: own}, seen.subjects)
    others = {
        name: measures.grade_scores(grades, seen.with_masks({branch: masks})[output])
        for name, masks in measures.replacements(seen.masks[branch], seen.subjects).items()
    }
    return measures.estimates({measures.OWN: own, **others}, seen.subjects)
