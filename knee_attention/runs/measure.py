"""A model meets the knees of a split: what it says of them, and where it looks."""

import sys

import keras
import numpy as np

from knee_attention import device
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.evidence.localisation import localisation, widened
from knee_attention.evidence.predictions import Predictions, own_subjects
from knee_attention.networks.masks import attention_masks


def predict(model: keras.Model, knees: Knees) -> Predictions:
    """The model's probabilities for every knee.

    Args:
        model: from prepared knees to a dict of `(batch, 5)` probabilities.
        knees: at the model's image size.
    """
    batches = KneeBatches(knees, model.output_names)
    predicted = _ready(model).predict(batches, verbose=int(sys.stdout.isatty()))
    return Predictions(
        knees.files,
        own_subjects(knees.files, knees.subjects),
        knees.grades,
        {name: values.astype(np.float64) for name, values in predicted.items()},
    )


def look(model: keras.Model, knees: Knees) -> dict[str, np.ndarray]:
    """The masks of every branch for every knee, `{branch: (n, height, width)}` float32."""
    return attention_masks(_ready(model), KneeBatches(knees, model.output_names))


def localise(
    masks: dict[str, np.ndarray], knees: Knees, tolerant: bool = False
) -> dict[str, dict[str, float]]:
    """`localisation` of every branch; empty where the knees' joints are not known.

    Args:
        masks: of every branch, as `look` gives them.
        knees: the same knees.
        tolerant: take each joint half a cell of the branch's grid wider.
    """
    if knees.masks is None:
        return {}
    scores = {}
    for branch, values in masks.items():
        joints = knees.masks
        if tolerant:
            joints = [widened(joint, values.shape[1:]) for joint in joints]
        scores[branch] = localisation(values, joints)
    return {branch: score for branch, score in scores.items() if score is not None}


def _ready(model: keras.Model) -> keras.Model:
    # A model that was loaded, not trained, would let Keras choose XLA, which is slow on a CPU.
    model.jit_compile = device.choose_jit_compile()
    return model
