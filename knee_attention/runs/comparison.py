"""Saved models measured on the same knees: one by one, together, and against each other."""

from dataclasses import dataclass

from knee_attention.evidence.ensemble import ensemble
from knee_attention.evidence.evaluation import measured
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.predictions import ENSEMBLE, Predictions
from knee_attention.networks.files.model_files import load_model
from knee_attention.runs.knee_source import KneeSource
from knee_attention.runs.measure import measure
from knee_attention.runs.saved_model import SavedModel


@dataclass(frozen=True)
class MeasuredModel:
    """A model and what it says of the knees.

    Attributes:
        label: its name, or where several share that, the path as the user gave it.
        predictions: of every output.
        chosen: the output that stands for it.
        results: as `results.json` holds them.
    """

    label: str
    predictions: Predictions
    chosen: str
    results: dict


def measure_saved(saved: SavedModel, source: KneeSource, label: str) -> MeasuredModel:
    """Load a model and measure it."""
    model = load_model(saved.path)
    found = measure(model, source.knees(saved.image_size))
    chosen = saved.chosen(found.predictions)
    results = {
        **saved.identity(),
        "synthetic": source.data is None,
        "data": source.data,
        "limit": source.limit,
        "seed": source.seed,
        "parameters": model.count_params(),
        **found.results(source.split, chosen),
    }
    if source.masks:
        results["localisation_widened"] = found.localisation(tolerant=True)
    return MeasuredModel(label, found.predictions, chosen, results)


def joined(models: list[MeasuredModel]) -> Predictions:
    """The ensemble of several models: the mean of their values before the softmax.

    A model of several branches counts once, with the mean of its branches.
    """
    knees = models[0].predictions
    own = [list(model.predictions.with_ensemble().values())[-1] for model in models]
    return Predictions(knees.files, knees.subjects, knees.grades, {ENSEMBLE: ensemble(own)})


def compare(models: list[MeasuredModel]) -> dict:
    """Several models on the same knees.

    Returns:
        `{"models": [label], "ensemble": metrics of all together, "differences": [first, second
        and the fields of `paired_differences`]}`: the first model against each other one, and the
        ensemble against the first.
    """
    first, together = models[0], joined(models)
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
        ENSEMBLE: measured(together.grades, together.of(ENSEMBLE), together.subjects),
        "differences": pairs,
    }
