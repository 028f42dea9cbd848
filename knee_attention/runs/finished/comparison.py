"""Evaluate saved models on the same knees: each one, their ensemble, and their differences."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from knee_attention.evidence.calibration import COVERAGE, Calibration
from knee_attention.evidence.finished_run import (
    metrics_with_intervals,
    of_grades,
    one_of_each_grade,
    worst_positions,
)
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.prediction_sets import set_figures
from knee_attention.evidence.predictions import ENSEMBLE, Predictions
from knee_attention.evidence.probabilities import ensemble
from knee_attention.limits import BALANCED, DECISIONS, GRADES
from knee_attention.networks.files.model_files import load_model
from knee_attention.runs.finished.saved_model import KneeSource, SavedModel
from knee_attention.runs.finishing import draw_masks
from knee_attention.runs.measure import Measured, measure

MOST_MISTAKES = 6
"""Maximum number of knees in the figure of mistakes."""


@dataclass(frozen=True)
class MeasuredModel:
    """A model and its results on some knees.

    Attributes:
        label: the model's name; or the path given by the user if several models share the name.
        measured: the knees, and the model's predictions and masks.
        chosen: the output that represents the model.
        results: as in `results.json`.
    """

    label: str
    measured: Measured
    chosen: str
    results: dict

    @property
    def predictions(self) -> Predictions:
        """The predictions of every output."""
        return self.measured.predictions

    def is_copy_of(self, other: "MeasuredModel") -> bool:
        """Whether both models have the same probabilities, up to rounding."""
        return self.predictions.equal(other.predictions)


def measure_saved(
    saved: SavedModel, source: KneeSource, label: str, flips: bool = False
) -> MeasuredModel:
    """Load a model and evaluate it.

    Args:
        saved: the model.
        source: the knees.
        label: label of the result.
        flips: average the predictions over each knee and its mirror image, even if the model file
            does not ask for it.
    """
    model = load_model(saved.path)
    knees = source.knees(saved.image_size)
    flips = flips or bool(saved.description.get("flips"))
    found = measure(model, knees, flips=flips)
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
    calibration = Calibration.recorded(saved.description)
    results |= calibrated_figures(calibration, found.predictions, chosen)
    if "localisation" in results:
        results["localisation_averaged"] = found.localisation(averaged=True)
    return MeasuredModel(label, found, chosen, results)


def calibrated_figures(calibration: Calibration, known: Predictions, chosen: str) -> dict:
    """Metrics of a model file's decision rules and prediction sets on some knees.

    Args:
        calibration: of the model file.
        known: the network's predictions.
        chosen: the output that grades.

    Returns:
        `rules`: `{rule: metrics of its grades}`, with `balanced` only if the file records the
        training frequencies. If the file has sets, also `prediction_sets`: the usual coverage
        `asked`, and the figures of `set_figures`.
    """
    values = calibration.probabilities(chosen, known.of(chosen))
    decided = {
        rule: calibration.grades(values, rule)
        for rule in DECISIONS
        if rule != BALANCED or calibration.divisors is not None
    }
    found = {
        "rules": {
            rule: of_grades(metrics_with_intervals(
                known.grades, np.eye(len(GRADES))[grades], known.subjects
            ))
            for rule, grades in decided.items()
        }
    }
    if calibration.thresholds is not None:
        shown = decided[calibration.default]
        sets = calibration.sets(values, shown, COVERAGE)
        found["prediction_sets"] = {"asked": COVERAGE} | set_figures(known.grades, shown, sets)
    return found


def draw(model: MeasuredModel, title: str, folder: Path) -> list[Path]:
    """Plot the attention masks of a model.

    `<label>-masks.png` shows a knee of each grade, `<label>-mistakes.png` the knees of
    `worst_positions`.

    Returns:
        the files.
    """
    shown = {
        "masks": one_of_each_grade(model.predictions.grades),
        "mistakes": worst_positions(model.predictions, model.chosen, MOST_MISTAKES),
    }
    files = []
    for what, places in shown.items():
        if len(places):
            name = "-".join(Path(model.label).parts).strip(f"-{os.sep}")
            files.append(folder / f"{name}-{what}.png")
            draw_masks(model.measured, places, model.chosen, title, files[-1])
    return files


def ensemble_of(models: list[MeasuredModel]) -> Predictions:
    """The ensemble of several models, averaged before the softmax.

    The branches of a model are averaged first, so every model has the same weight.
    """
    own = [model.predictions.ensemble() for model in models]
    return replace(models[0].predictions, probabilities={ENSEMBLE: ensemble(own)})


def _copies(models: list[MeasuredModel]) -> dict[int, int]:
    """The positions of copies, and of the first model with the same content: `{copy: first}`."""
    found: dict[int, int] = {}
    for place, model in enumerate(models):
        for known in range(place):
            if known not in found and model.is_copy_of(models[known]):
                found[place] = known
                break
    return found


def compare(models: list[MeasuredModel]) -> dict:
    """Compare several models on the same knees. Copies of a model count once in the ensemble.

    Returns:
        `models`: labels; `ensemble`: metrics of the ensemble; `differences`: a list of
        `paired_differences` with the labels `first` and `second`, for the first model minus each
        other one and for the ensemble minus the first; `copies`: `{label of a copy: label}`.
    """
    copied = _copies(models)
    together = ensemble_of([model for place, model in enumerate(models) if place not in copied])
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
