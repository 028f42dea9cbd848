"""What a finished training leaves in its folder: predictions, results, figures, models."""

import logging
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from knee_attention import device
from knee_attention.evidence import evaluation, figures
from knee_attention.evidence.attention_maps import attention_masks, localisation
from knee_attention.experiment import Experiment
from knee_attention.files import write_json, written_whole
from knee_attention.films.batches import KneeBatches
from knee_attention.films.dataset import Dataset

PACKAGES = ("knee_attention", "keras", "tensorflow", "jax", "numpy", "opencv-python",
            "scikit-learn", "h5py", "pandas", "matplotlib")


def evaluate(
    experiment: Experiment,
    model: keras.Model,
    dataset: Dataset,
    history: list[dict],
    output: Path,
) -> dict:
    """Choose the branch on validation, measure on test, write `predictions.csv` and figures.

    Args:
        experiment: what was run.
        model: the trained model.
        dataset: its knees; without a test split, validation is reported.
        history: one dict an epoch.
        output: the run's folder.

    Returns:
        the content of `results.json`: no times, so that the same seed gives the same results.
    """
    reported = "test" if "test" in dataset.splits else "validation"
    outputs = list(experiment.output_weights)
    batches = {
        split: KneeBatches(dataset.splits[split], outputs)
        for split in dict.fromkeys(("validation", reported))
    }
    probabilities = {split: _predict(model, batches[split]) for split in batches}
    chosen = evaluation.better_branch(
        dataset.splits["validation"].grades, probabilities["validation"]
    )
    knees = dataset.splits[reported]
    masks = attention_masks(model, batches[reported])
    table = evaluation.predictions_table(
        knees.files, knees.subjects, knees.grades, probabilities[reported], chosen
    )
    _write_table(output / "predictions.csv", table)
    if dataset.unreadable:
        rows = [(error.path, error.reason) for error in dataset.unreadable]
        _write_table(output / "unreadable.csv", pd.DataFrame(rows, columns=["file", "reason"]))
    results = {
        "name": experiment.name,
        "backbone": experiment.backbone,
        "variant": experiment.variant,
        "synthetic": dataset.synthetic,
        "split": reported,
        "knees": len(knees),
        "subjects": len(set(knees.subjects)),
        "parameters": model.count_params(),
        "epochs": len(history),
        "chosen": chosen,
    }
    for split, values in probabilities.items():
        results[split] = evaluation.split_results(dataset.splits[split].grades, values)
    if knees.masks is not None:
        results["localisation"] = {
            branch: localisation(values, knees.masks) for branch, values in masks.items()
        }

    origin = "synthetic phantoms" if dataset.synthetic else Path(experiment.data).name
    title = f"{experiment.name}, {origin}"
    folder = output / "figures"
    figures.learning_curves(history, outputs, title, folder / "learning_curves.png")
    shown = evaluation.one_of_each_grade(knees.grades)
    figures.mask_panels(
        knees.images[shown],
        {branch: values[shown] for branch, values in masks.items()},
        knees.grades[shown],
        probabilities[reported][chosen][shown],
        f"{title}, {reported} split, P of {chosen}",
        folder / "masks.png",
    )
    figures.confusion_matrix(
        results[reported][chosen]["confusion"],
        f"{title}\n{chosen}, {len(knees)} {reported} knees",
        folder / "confusion_matrix.png",
    )
    return results


def _predict(model: keras.Model, batches: KneeBatches) -> dict[str, np.ndarray]:
    predicted = model.predict(batches, verbose=0)
    return {name: values.astype(np.float64) for name, values in predicted.items()}


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with written_whole(path) as beside:
        table.to_csv(beside, index=False)


def save_model(model: keras.Model, output: Path) -> None:
    """Write `model.h5` and `model.keras`, without the optimizer."""
    # Keras calls .h5 a legacy format at every save; here it is asked for.
    logging.getLogger("absl").setLevel(logging.ERROR)
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    for name in ("model.h5", "model.keras"):
        with written_whole(output / name) as beside:
            uncompiled.save(beside)


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
