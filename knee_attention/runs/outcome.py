"""What a finished training leaves in its folder: predictions, results, figures, models."""

import dataclasses
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from knee_attention import device
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Dataset, Knees
from knee_attention.evidence import evaluation, figures, panels
from knee_attention.evidence.metrics import SCALARS, grade_metrics
from knee_attention.evidence.predictions import Predictions, write_predictions
from knee_attention.files import write_json, write_table
from knee_attention.films.cutting import Cutting
from knee_attention.films.radiograph import PREPARATION
from knee_attention.networks.files.model_files import save_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.measure import localise, look, predict

SHOWN_EPOCHS = 8
"""Of augmentation, in its figure."""

PACKAGES = ("knee_attention", "keras", "tensorflow", "jax", "numpy", "opencv-python",
            "scikit-learn", "h5py", "pandas", "matplotlib")


def finish(
    experiment: Experiment,
    model: keras.Model,
    dataset: Dataset,
    history: list[dict],
    output: Path,
    pdf: bool = False,
) -> dict:
    """Choose the branch on validation, measure on test; save the model, then tables and figures.

    Args:
        experiment: what was run.
        model: the trained model.
        dataset: its knees; without a test split, validation is reported.
        history: one dict an epoch.
        output: the run's folder.
        pdf: also draw the figures as PDF.

    Returns:
        the content of `results.json`: no times, so that the same seed gives the same results.
    """
    reported = "test" if "test" in dataset.splits else "validation"
    knees = dataset.splits[reported]
    predictions = {
        split: predict(model, dataset.splits[split])
        for split in dict.fromkeys(("validation", reported))
    }
    chosen = evaluation.better_branch(predictions["validation"])
    masks = look(model, knees)
    results = {
        "name": experiment.name,
        "backbone": experiment.backbone,
        "variant": experiment.variant,
        "synthetic": dataset.synthetic,
        "split": reported,
        "knees": len(knees),
        "subjects": len(set(predictions[reported].subjects)),
        "parameters": model.count_params(),
        "epochs": len(history),
        "chosen": chosen,
    }
    for split in predictions:
        results[split] = evaluation.split_results(predictions[split])
    if knees.masks is not None:
        results["localisation"] = localise(masks, knees)
    _save_models(experiment, model, dataset.cutting, results, output)
    write_predictions(predictions[reported], chosen, output / "predictions.csv")
    if dataset.unreadable:
        rows = [{"file": error.path, "reason": error.reason} for error in dataset.unreadable]
        write_table(output / "unreadable.csv", ["file", "reason"], rows)
    origin = "synthetic phantoms" if dataset.synthetic else Path(experiment.data).name
    title = f"{experiment.name}, {origin}"
    folder = output / "figures"
    outputs = list(experiment.output_weights)
    figures.learning_curves(history, outputs, title, folder / "learning_curves.png", pdf)
    _draw_split(predictions[reported], chosen, masks, knees, f"{title}, {reported}", folder, pdf)
    return results


def draw_augmentation(
    training: KneeBatches, experiment: Experiment, output: Path, pdf: bool = False
) -> None:
    """Draw a knee of each grade as eight epochs of the training show it."""
    knees = training.knees
    shown = evaluation.one_of_each_grade(knees.grades)
    views = []
    for epoch in range(SHOWN_EPOCHS):
        training.start(epoch)
        views.append(training.seen(shown))
    origin = "synthetic phantoms" if experiment.data is None else Path(experiment.data).name
    panels.augmentation_panels(
        knees.images[shown],
        np.stack(views, axis=1),
        knees.grades[shown],
        f"{experiment.name}, {origin}, training split, augmentation: {experiment.augment}",
        output / "figures" / "augmentation.png",
        pdf,
    )


def _draw_split(
    predictions: Predictions,
    chosen: str,
    masks: dict[str, np.ndarray],
    knees: Knees,
    title: str,
    folder: Path,
    pdf: bool,
) -> None:
    """The masks of a knee of each grade, the confusion matrix and the reliability diagram."""
    probabilities = predictions.of(chosen)
    shown = evaluation.one_of_each_grade(knees.grades)
    panels.mask_panels(
        knees.images[shown],
        {branch: values[shown] for branch, values in masks.items()},
        knees.grades[shown],
        probabilities[shown],
        f"{title} split, P of {chosen}",
        folder / "masks.png",
        pdf,
    )
    title = f"{title}\n{chosen}, {len(knees)} knees"
    confusion = grade_metrics(knees.grades, probabilities)["confusion"]
    figures.confusion_matrix(confusion, title, folder / "confusion_matrix.png", pdf)
    figures.reliability_diagram(
        knees.grades, probabilities, title, folder / "reliability.png", pdf
    )


def _save_models(
    experiment: Experiment,
    model: keras.Model,
    cutting: Cutting | None,
    results: dict,
    output: Path,
) -> None:
    """Write `model.h5` and `model.keras`, which say how they were trained and what they reached."""
    split = results["split"]
    description = {
        "name": experiment.name,
        "chosen": results["chosen"],
        "cutting": cutting and dataclasses.asdict(cutting),
        "preparation": PREPARATION,
        "synthetic": results["synthetic"],
        "parameters": results["parameters"],
        "experiment": experiment.as_json(),
        "results": {
            "split": split,
            "knees": results["knees"],
            "outputs": {
                name: {scalar: metrics[scalar] for scalar in SCALARS}
                for name, metrics in results[split].items()
            },
        },
    }
    for name in ("model.h5", "model.keras"):
        save_model(model, output / name, description)


def write_environment(output: Path, precision: str, history: list[dict], seconds: float) -> None:
    """Write `environment.json`: versions, commit, device, precision, command, times."""
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    write_json(
        output / "environment.json",
        {
            "versions": versions,
            "commit": _commit(),
            "backend": keras.backend.backend(),
            "device": device.describe_device(),
            "precision": precision,
            "command": sys.argv,
            "training_seconds": round(sum(row["seconds"] for row in history), 1),
            "wall_seconds": round(seconds, 1),
        },
    )


def _commit() -> str | None:
    """The commit of the project's checkout; None where there is none or no git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
