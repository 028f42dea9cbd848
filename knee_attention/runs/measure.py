"""Evaluate a model on knees, at the end of a training and in `knee-attention evaluate`."""

import sys
from dataclasses import dataclass

import keras
import numpy as np

from knee_attention import device
from knee_attention.datasets.batches import EVALUATION_BATCH, KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.evidence.audit import localisation, widened
from knee_attention.evidence.finished_run import split_results
from knee_attention.evidence.predictions import Predictions, own_subjects
from knee_attention.evidence.probabilities import (
    as_probabilities,
    mean_of_passes,
    refuse_not_finite,
)
from knee_attention.networks.attention import masks_among, with_masks


@dataclass(frozen=True)
class Measured:
    """A model's predictions and attention masks on the knees of a split.

    Attributes:
        knees: the knees.
        predictions: the probabilities of every output.
        masks: `{branch: (n, h, w)}` float32 in 0-1, at the branch's own resolution.
    """

    knees: Knees
    predictions: Predictions
    masks: dict[str, np.ndarray]

    def results(self, split: str, chosen: str) -> dict:
        """The entries of `results.json` about these knees.

        Args:
            split: name of the split.
            chosen: the output that represents the model.

        Returns:
            `split`, the numbers of `knees` and `subjects`, `chosen`, the metrics of every output
            (under the split's name), and `localisation` if the joints are known.
        """
        results = {
            "split": split,
            "knees": len(self.predictions),
            "subjects": len(set(self.predictions.subjects)),
            "chosen": chosen,
            split: split_results(self.predictions),
        }
        if self.knees.masks is not None:
            results["localisation"] = self.localisation()
        return results

    def localisation(
        self, tolerant: bool = False, averaged: bool = False
    ) -> dict[str, dict[str, float]]:
        """Localisation scores of every branch: `{branch: scores}`.

        Args:
            tolerant: widen each joint by half a cell of the branch's grid.
            averaged: use the branch's mean mask for every knee. Its scores show how much of the
                localisation is explained by the usual position of the joint.
        """
        scores = {}
        for branch, masks in self.masks.items():
            joints = self.knees.masks
            if averaged:
                masks = np.broadcast_to(masks.mean(axis=0), masks.shape)
            if tolerant:
                joints = [widened(joint, masks.shape[1:]) for joint in joints]
            scores[branch] = localisation(masks, joints)
        return {branch: score for branch, score in scores.items() if score is not None}


def measure(model: keras.Model, knees: Knees, devices: int = 1, flips: bool = False) -> Measured:
    """Predictions and attention masks of a model on every knee.

    Args:
        model: a model of `build_model`.
        knees: prepared knees at the model's image size.
        devices: number of devices that share a batch.
        flips: average the predictions over each knee and its mirror image. The masks are those
            of the knee itself.

    Raises:
        InputError: an output or a mask contains NaN or infinity.
    """
    network = with_masks(model)
    # By default Keras would compile a loaded model with XLA, which is slow on a CPU.
    network.jit_compile = device.choose_jit_compile(devices)
    batches = KneeBatches(knees, model.output_names, EVALUATION_BATCH * devices, devices=devices)
    passes = []
    for mirrored in (False, True) if flips else (False,):
        batches.flipped[:] = mirrored
        values = network.predict(batches, verbose=1 if sys.stdout.isatty() else 0)
        passes.append({name: value[: len(knees)] for name, value in values.items()})
    probabilities = {
        name: mean_of_passes(name, [as_probabilities(values[name]) for values in passes])
        for name in model.output
    }
    masks = masks_among(passes[0])
    for branch, mask in masks.items():
        refuse_not_finite(mask, f"the mask of {branch}")
    subjects = own_subjects(knees.files, knees.subjects)
    predictions = Predictions(knees.files, subjects, knees.grades, probabilities)
    return Measured(knees, predictions, masks)
