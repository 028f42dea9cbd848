"""Make a model that ships with the package, and its model card, from a finished run."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.knees import Knees
from knee_attention.datasets.persons import person_digests
from knee_attention.errors import InputError
from knee_attention.evidence.calibration import best_temperature
from knee_attention.evidence.confidence import confidence
from knee_attention.evidence.finished_run import split_results
from knee_attention.evidence.metrics import expected_calibration_error
from knee_attention.evidence.model_card import model_card
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import (
    as_probabilities,
    classifying,
    mean_of_passes,
    tempered,
)
from knee_attention.files import written_whole
from knee_attention.films.network_input import likeness, typical_knee, with_mirror_images
from knee_attention.films.preparation import Preparation
from knee_attention.networks.files.copies import write_half_size
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.files.onnx_export import export_onnx, onnx_package
from knee_attention.networks.files.onnx_network import OnnxNetwork
from knee_attention.runs.finished.publishing import without_path
from knee_attention.runs.measure import measure
from knee_attention.runs.run_folder import RunFolder

SILENT = 0.95
"""Share of the validation knees that get no warning about their likeness."""


def make_pretrained(run: Path, name: str, about: str, folder: Path, crop: str = "auto") -> str:
    """Write the model in float16, `<name>.h5` and `<name>.onnx`, and its card `<name>.md`.

    Entries are added to the model's description. `temperatures`, `decision` and `prediction_sets`
    are calibrated on validation, see `evidence.calibration`. `typical_knee` contains the `grey`
    levels (16x16) of the mean training knee, and `least`, the likeness below which the grader
    warns. `training_persons` are digests of the persons, see `datasets.persons`.

    Args:
        run: folder of a finished run, whose data set still exists.
        name: name of the model.
        about: description of the training set for the card, with licence and citation.
        folder: output folder.
        crop: what the knees show, if neither the data set nor the run records it.

    Returns:
        the card.

    Raises:
        InputError: the run is not finished, used phantoms, displaced joints or a limit, its data
            are missing, or the package onnx is not installed.
    """
    onnx_package()
    place = RunFolder(run)
    experiment, results = place.read_experiment(), place.read_results()
    if experiment["data"] is None:
        raise InputError(f"{run}: a run on synthetic phantoms; give one on real knees")
    if experiment.get("displace"):
        raise InputError(f"{run}: a run with --displace; give one without it")
    if experiment.get("limit"):
        raise InputError(f"{run}: a run with --limit; give one on all knees")
    dataset = load_dataset(
        experiment["data"],
        tuple(experiment["image_size"]),
        wanted=("train", "validation"),
        polarity=experiment["polarity"],
    )
    knees = dataset.splits["validation"]
    model = load_model(place.model)
    description = read_description(place.model)
    flips = bool(description.get("flips"))
    predictions = measure(model, knees, flips=flips).predictions
    calibration = _calibrated(predictions)
    training = dataset.splits["train"]
    typical, least, share = _typical(training, knees)
    preparation = Preparation.recorded(description, place.model).with_crop(crop)
    description |= preparation.described()
    chosen = results["chosen"]
    temperatures = {output: values["temperature"] for output, values in calibration.items()}
    description |= confidence(
        predictions, chosen, temperatures[chosen], training.grade_counts()
    )
    description |= {
        "name": name,
        "training_persons": person_digests(training.subjects),
        "temperatures": temperatures,
        "typical_knee": {"grey": typical.tolist(), "least": least},
        "experiment": {
            name: without_path(value) for name, value in description["experiment"].items()
        },
    }
    validation = {
        "knees": len(knees),
        "subjects": len(set(predictions.subjects)),
        "chosen": chosen,
        "outputs": split_results(predictions),
    }
    with tempfile.TemporaryDirectory() as temporary:
        whole, half, graph = (Path(temporary) / f for f in ("whole.h5", "half.h5", "half.onnx"))
        save_model(model, whole, description)
        write_half_size(whole, half)
        rounded = load_model(half)
        export_onnx(rounded, graph, read_description(half))
        grades, halved = (
            known.of(chosen).argmax(axis=1)
            for known in (predictions, measure(rounded, knees, flips=flips).predictions)
        )
        by_opencv = _grades_by_opencv(graph, chosen, knees, flips)
        checks = {
            "least_likeness": least,
            "share": share,
            "changed": int((grades != halved).sum()),
            "changed_by_opencv": int((grades != by_opencv).sum()),
            "megabytes": half.stat().st_size / 1e6,
        }
        card = model_card(
            name, about, experiment, validation, calibration, description, checks,
            preparation.shows_joints,
        )  # fmt: skip
        # All files are written at the end, so that models and card always match.
        with (
            written_whole(folder / f"{name}.h5") as model_beside,
            written_whole(folder / f"{name}.onnx") as graph_beside,
            written_whole(folder / f"{name}.md") as card_beside,
        ):
            shutil.copyfile(half, model_beside)
            shutil.copyfile(graph, graph_beside)
            card_beside.write_text(card, encoding="utf-8")
    return card


def _calibrated(predictions: Predictions) -> dict[str, dict[str, float]]:
    """The `temperature` of every output, and its calibration error `before` and `after`."""
    found = {}
    for output, values in classifying(predictions.probabilities).items():
        temperature = round(best_temperature(predictions.grades, values), 4)
        before, after = (
            expected_calibration_error(predictions.grades, probabilities)
            for probabilities in (values, tempered(values, temperature))
        )
        found[output] = {"temperature": temperature, "before": before, "after": after}
    return found


def _grades_by_opencv(graph: Path, output: str, knees: Knees, flips: bool) -> np.ndarray:
    """The grades that the ONNX file gives to knees."""
    network = OnnxNetwork(graph)
    values = []
    for place in tqdm(range(len(knees)), "grading by OpenCV", disable=None):
        knee = knees.images[place][np.newaxis, ..., np.newaxis].astype(np.float32)
        passes = [as_probabilities(network(image)[output])
                  for image in with_mirror_images(knee, flips)]  # fmt: skip
        values.append(mean_of_passes(output, passes))
    return np.concatenate(values).argmax(axis=1)


def _typical(training: Knees, validation: Knees) -> tuple[np.ndarray, float, float]:
    """The mean training knee, the least likeness without a warning, and the share above it."""
    typical = typical_knee([training.images[place] for place in range(len(training))])
    found = [likeness(validation.images[place], typical) for place in range(len(validation))]
    least = float(np.floor(100 * np.quantile(found, 1 - SILENT)) / 100)
    return typical, least, float(np.mean(np.array(found) >= least))
