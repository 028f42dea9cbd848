"""Evaluate a trained model and write its models, predictions and figures to the run's folder.

`environment` describes the hardware and software of the run.
"""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from knee_attention import __version__, device
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Dataset
from knee_attention.evidence import finished_run
from knee_attention.evidence.figures import curves, panels
from knee_attention.evidence.metrics import SCALARS, grade_metrics
from knee_attention.films.preparation import Preparation
from knee_attention.networks.files.model_files import save_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.measure import Measured, measure
from knee_attention.runs.run_folder import RunFolder

SHOWN_EPOCHS = 8
"""Number of epochs in the figure of augmentation."""


def finish(
    experiment: Experiment,
    model: keras.Model,
    dataset: Dataset,
    history: list[dict],
    run: RunFolder,
    pdf: bool = False,
    devices: int = 1,
) -> dict:
    """Choose the output on validation and evaluate on test; write models, predictions and figures.

    Args:
        experiment: the experiment.
        model: the trained model.
        dataset: the knees. Without a test split, the results are those of the validation split.
        history: one dict per epoch.
        run: the run's folder.
        pdf: also write the figures as PDF.
        devices: number of devices that share a batch.

    Returns:
        the content of `results.json`. It contains no times, so equal seeds give equal results.
    """
    validation = measure(model, dataset.splits["validation"], devices, experiment.flips)
    split, reported = "validation", validation
    if "test" in dataset.splits:
        split = "test"
        reported = measure(model, dataset.splits["test"], devices, experiment.flips)
    chosen = finished_run.better_branch(validation.predictions)
    results = {
        "name": experiment.name,
        "backbone": experiment.backbone,
        "variant": experiment.variant,
        "synthetic": dataset.synthetic,
        "parameters": model.count_params(),
        "epochs": len(history),
        "validation": finished_run.split_results(validation.predictions),
        **reported.results(split, chosen),
    }
    _save_models(experiment, model, dataset.preparation, results, run)
    run.write_predictions(reported.predictions, chosen)
    title = f"{experiment.name}, {experiment.origin}"
    outputs = list(experiment.output_weights)
    if history:
        curves.learning_curves(history, outputs, title, run.figure("learning_curves"), pdf)
    _draw_split(reported, chosen, f"{title}, {split}", run, pdf)
    return results


def draw_augmentation(
    training: KneeBatches, experiment: Experiment, run: RunFolder, pdf: bool = False
) -> None:
    """Plot a knee of each grade with its augmentation in eight epochs."""
    knees = training.knees
    shown = finished_run.one_of_each_grade(knees.grades)
    views = []
    for epoch in range(SHOWN_EPOCHS):
        training.start(epoch)
        views.append(training.augmented_images(shown))
    title = f"{experiment.name}, {experiment.origin}, training split"
    panels.augmentation_panels(
        knees.images[shown],
        np.stack(views, axis=1),
        knees.grades[shown],
        f"{title}, augmentation: {experiment.augment}",
        run.figure("augmentation"),
        pdf,
    )


def draw_masks(
    measured: Measured, places: np.ndarray, chosen: str, title: str, path: Path, pdf: bool = False
) -> None:
    """Plot the attention masks and probabilities of some knees.

    Args:
        measured: a model's predictions and masks.
        places: positions of the knees.
        chosen: the output whose probabilities are shown.
        title: title of the figure.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
    """
    knees, joints = measured.knees, measured.knees.masks
    panels.mask_panels(
        knees.images[places],
        {branch: masks[places] for branch, masks in measured.masks.items()},
        knees.grades[places],
        measured.predictions.of(chosen)[places],
        [knees.files[place] for place in places],
        f"{title}, P of {chosen}",
        path,
        pdf,
        None if joints is None else [joints[place] for place in places],
    )


def _draw_split(measured: Measured, chosen: str, title: str, run: RunFolder, pdf: bool) -> None:
    """Plot the masks on a knee of each grade, the confusion matrix and the reliability diagram."""
    knees, probabilities = measured.knees, measured.predictions.of(chosen)
    shown = finished_run.one_of_each_grade(knees.grades)
    draw_masks(measured, shown, chosen, f"{title} split", run.figure("masks"), pdf)
    title = f"{title}\n{chosen}, {len(knees)} knees"
    confusion = grade_metrics(knees.grades, probabilities)["confusion"]
    curves.confusion_matrix(confusion, title, run.figure("confusion_matrix"), pdf)
    curves.reliability_diagram(
        knees.grades, probabilities, title, run.figure("reliability"), pdf
    )


def _save_models(
    experiment: Experiment,
    model: keras.Model,
    preparation: Preparation,
    results: dict,
    run: RunFolder,
) -> None:
    """Write `model.h5` and `model.keras` with a description of the training and its results."""
    split = results["split"]
    description = {
        "name": experiment.name,
        "chosen": results["chosen"],
        **preparation.described(),
        "synthetic": results["synthetic"],
        "parameters": results["parameters"],
        "flips": experiment.flips,
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
    for path in (run.model, run.keras_model):
        save_model(model, path, description)


PACKAGES = ("keras", "tensorflow", "jax", "numpy", "opencv-python",
            "scikit-learn", "h5py", "pandas", "matplotlib")


def environment(precision: str, trained: float, seconds: float, devices: int = 1) -> dict:
    """The content of `environment.json`: versions, commit, device, precision, command, times.

    Args:
        precision: the Keras dtype policy of the model.
        trained: seconds of its training, without loading and measuring.
        seconds: wall time of the whole run.
        devices: number of devices that shared the batches.
    """
    versions = {"python": sys.version.split()[0], "knee_attention": __version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "commit": _commit(),
        "backend": keras.backend.backend(),
        "device": device.describe_device(),
        "devices": devices,
        "precision": precision,
        "command": sys.argv,
        "training_seconds": round(trained, 1),
        "wall_seconds": round(seconds, 1),
    }


def _commit() -> str | None:
    """The git commit of the checkout; None without a checkout or without git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # git would look for a repository further up
        return None
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
