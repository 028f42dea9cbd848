"""Saved models measured on the same knees: one by one, together, and against each other."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from knee_attention.evidence.evaluation import metrics_with_intervals, one_of_each_grade
from knee_attention.evidence.finished_run import copies
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.predictions import ENSEMBLE, Predictions
from knee_attention.evidence.probabilities import ensemble
from knee_attention.networks.files.model_files import load_model
from knee_attention.runs.finished.evaluation_data import KneeSource
from knee_attention.runs.finished.saved_model import SavedModel
from knee_attention.runs.finishing import draw_masks
from knee_attention.runs.measure import Measured, both_ways, measure

MOST_MISTAKES = 6
"""In a picture of them."""


@dataclass(frozen=True)
class MeasuredModel:
    """A model and what it says of the knees.

    Attributes:
        label: its name, or where several share that, the path as the user gave it.
        measured: the knees, its predictions and its masks of them.
        chosen: the output that stands for it.
        results: as `results.json` holds them.
    """

    label: str
    measured: Measured
    chosen: str
    results: dict

    @property
    def predictions(self) -> Predictions:
        """Of every output."""
        return self.measured.predictions

    def is_copy_of(self, other: "MeasuredModel") -> bool:
        """Whether another model gives every knee the same probabilities, but for rounding."""
        return self.predictions.equal(other.predictions)


def measure_saved(
    saved: SavedModel, source: KneeSource, label: str, flips: bool = False
) -> MeasuredModel:
    """Load a model and measure it; with `flips` by each knee and its mirror image together."""
    model = load_model(saved.path)
    knees = source.knees(saved.image_size)
    found = measure(model, knees)
    if flips:
        mirror = measure(model, knees, mirrored=True).predictions
        found = replace(found, predictions=both_ways(found.predictions, mirror))
    chosen = saved.chosen(found.predictions)
    results = {
        **saved.identity(),
        "synthetic": source.data is None,
        "data": source.data,
        "limit": source.limit,
        "seed": source.seed,
        "parameters": model.count_params(),
        **({"flips": True} if flips else {}),
        **found.results(source.split, chosen),
    }
    if source.masks:
        results["localisation_widened"] = found.localisation(tolerant=True)
    if "localisation" in results:
        results["localisation_averaged"] = found.localisation(averaged=True)
    return MeasuredModel(label, found, chosen, results)


def draw(model: MeasuredModel, title: str, folder: Path) -> list[Path]:
    """Draw what a model looks at: `<label>-masks.png`, a knee of each grade, and where it was
    wrong `<label>-mistakes.png`, the knees furthest from their grade, the surest mistake first.

    Returns:
        the files.
    """
    known, probabilities = model.predictions, model.predictions.of(model.chosen)
    distance = np.abs(probabilities.argmax(axis=1) - known.grades)
    worst = np.lexsort((probabilities[np.arange(len(known)), known.grades], -distance))
    shown = {
        "masks": one_of_each_grade(known.grades),
        "mistakes": worst[:MOST_MISTAKES][distance[worst[:MOST_MISTAKES]] > 0],
    }
    files = []
    for what, places in shown.items():
        if len(places):
            name = "-".join(Path(model.label).parts).strip(f"-{os.sep}")
            files.append(folder / f"{name}-{what}.png")
            draw_masks(model.measured, places, model.chosen, title, files[-1])
    return files


def joined(models: list[MeasuredModel]) -> Predictions:
    """The ensemble of several models: the mean of their values before the softmax.

    A model of several branches counts once, with the mean of its branches.
    """
    knees = models[0].predictions
    own = [model.predictions.together() for model in models]
    return Predictions(knees.files, knees.subjects, knees.grades, {ENSEMBLE: ensemble(own)})


def compare(models: list[MeasuredModel]) -> dict:
    """Several models on the same knees. A copy of another model counts once in the ensemble.

    Returns:
        `{"models": [label], "ensemble": metrics of all together, "differences": [first, second
        and the fields of `paired_differences`], "copies": {label: label}}`: the first model against
        each other one, and the ensemble against the first; and which model is a copy of which.
    """
    copied = copies(dict(enumerate(models)))
    together = joined([model for place, model in enumerate(models) if place not in copied])
    first = models[0]
    pairs = [
        {
            "first": f"{first.label} {first.chosen}",
            "second": f"{other.label} {other.chosen}",
            **paired_differences(first.predictions, first.chosen, other.predictions, other.chosen),
        }
        for other in models[1:]
    ]
    pairs.append(
        {
            "first": "all together",
            "second": f"{first.label} {first.chosen}",
            **paired_differences(together, ENSEMBLE, first.predictions, first.chosen),
        }
    )
    return {
        "models": [model.label for model in models],
        ENSEMBLE: metrics_with_intervals(together.grades, together.of(ENSEMBLE), together.subjects),
        "differences": pairs,
        "copies": {models[copy].label: models[known].label for copy, known in copied.items()},
    }
