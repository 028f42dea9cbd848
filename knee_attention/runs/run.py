"""Run an experiment: load data, build the model, train, evaluate, write the run's folder."""

import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from knee_attention import device
from knee_attention.datasets.batches import EVALUATION_BATCH, KneeBatches
from knee_attention.datasets.dataset import load_dataset, preparation_of
from knee_attention.datasets.fingerprint import ImageRecord, write_records
from knee_attention.datasets.knees import Dataset, Knees
from knee_attention.datasets.layout import other_folders
from knee_attention.device import find_devices, refuse_uneven, shared_by
from knee_attention.errors import InputError
from knee_attention.files import write_table
from knee_attention.films.preparation import Preparation
from knee_attention.networks.files import initial_weights
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.experiment import DEFAULT_OPTIONS, Experiment, RunOptions
from knee_attention.runs.finishing import draw_augmentation, environment, finish
from knee_attention.runs.known_data import records_of, refuse_other_data
from knee_attention.runs.output_folder import can_continue, refuse_overlap
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.stability import seconds_trained, stabilise
from knee_attention.runs.training import compile_model, train


def run(experiment: Experiment, output: Path, run_options: RunOptions = DEFAULT_OPTIONS) -> dict:
    """Train, evaluate and save one experiment. A killed run is resumed.

    A run with fewer epochs is continued to the new number, even if it is finished; see
    `can_continue`.

    Args:
        experiment: the experiment.
        output: the run's folder.
        run_options: options that do not affect the results.

    Returns:
        the content of the run's `results.json`.

    Raises:
        InputError: the data, the weights, the folder or the devices cannot be used.
    """
    place = RunFolder(output)
    refuse_overlap(output, [experiment.data], run_options.overwrite,
                   [experiment.weights, experiment.teacher])  # fmt: skip
    devices = find_devices(run_options.devices)
    refuse_uneven(experiment.batch_size, len(devices))
    if experiment.stability and len(devices) > 1:
        raise InputError("--stability runs on one device; leave out --devices")
    with place.locked():
        restart = run_options.overwrite and place.exists
        longer = not restart and can_continue(place, experiment)
        results = None if restart or longer else place.results_of(experiment)
        if not restart:
            refuse_other_data(place, experiment)
        if results:
            ignored = " (--pdf is ignored)" if run_options.pdf else ""
            print(f"{output}: already finished{ignored}; --overwrite runs it again")
            return results
        with shared_by(devices):
            return _run(experiment, place, restart, run_options, len(devices))


def _run(
    experiment: Experiment, place: RunFolder, restart: bool, run_options: RunOptions, devices: int
) -> dict:
    began = time.perf_counter()
    records = records_of(experiment)
    dataset = _load(
        experiment.data,
        experiment.image_size,
        experiment.limit,
        experiment.data_seed,
        experiment.polarity,
        experiment.crop,
        experiment.displace,
        records,
    )
    precision = device.choose_precision(experiment.precision)
    keras.utils.set_random_seed(experiment.seed)
    model = _build(experiment, dataset.splits["train"].images, precision)
    teacher = None
    if experiment.teacher:
        trained = replace(experiment, weights=experiment.teacher, epochs=0)
        teacher = _build(trained, None, precision)
    jit_compile = device.choose_jit_compile(devices)
    compile_model(
        model, experiment.output_weights, experiment.learning_rate, jit_compile, devices,
        experiment.targets,
    )  # fmt: skip
    _announce(experiment, model, dataset, precision, devices, place)
    if restart:  # only after everything that can fail
        place.clear()
    place.begin(experiment, dataset.inverted, dataset.unreadable, dataset.trimmed)
    if records:
        write_records(place.data_file, records)

    outputs = list(experiment.output_weights)
    training = KneeBatches(
        dataset.splits["train"],
        outputs,
        experiment.batch_size,
        training=True,
        seed=experiment.seed,
        augment=experiment.augment,
        devices=devices,
    )
    validation = KneeBatches(
        dataset.splits["validation"], outputs, EVALUATION_BATCH * devices, devices=devices
    )
    before = place.seconds_trained() + seconds_trained(place.stability_state)
    history = []
    if experiment.epochs:
        history = train(model, training, validation, experiment, place, run_options.tensorboard)
        draw_augmentation(training, experiment, place, run_options.pdf)
    else:
        write_table(place.history, ["epoch"], [])
    if experiment.stability:
        stabilise(
            model,
            _knees_as_cut(experiment),
            dataset.preparation.equalization,
            place.stability_state,
            experiment.stability,
            experiment.seed,
            teacher,
        )
    results = finish(experiment, model, dataset, history, place, run_options.pdf, devices)
    seconds = before + time.perf_counter() - began
    trained = sum(row["seconds"] for row in history) + seconds_trained(place.stability_state)
    # A cosine has ended, and a training that stopped early stays stopped; see `can_continue`.
    more = (experiment.schedule == "plateau" and not experiment.stability
            and len(history) == experiment.epochs)  # fmt: skip
    place.finish(results, environment(precision, trained, seconds, devices), keep_state=more)
    return results


@lru_cache(maxsize=1)
def _load(
    data: str | None, image_size: tuple[int, int], limit: int | None, seed: int, polarity: str,
    crop: str, displace: bool, records: tuple[ImageRecord, ...],
) -> Dataset:
    """The knees. They stay cached for the next experiment, such as the next cell of Table 1.

    Args:
        records: records of the images; a change of the images invalidates the cache.
    """
    if data is None:
        return phantom_dataset(image_size, limit, seed, crop=crop)
    return load_dataset(
        data, image_size, limit, seed, polarity=polarity,
        preparation=_preparation(data, crop, displace),
    )  # fmt: skip


def _knees_as_cut(experiment: Experiment) -> Knees:
    """The training knees of an experiment, without the equalisation for the network."""
    wanted, size, data = ("train",), experiment.image_size, experiment.data
    limit, seed = experiment.limit, experiment.data_seed
    if data is None:
        dataset = phantom_dataset(size, limit, seed, wanted, experiment.crop, "none")
    else:
        preparation = _preparation(data, experiment.crop, experiment.displace)
        dataset = load_dataset(data, size, limit, seed, wanted, experiment.polarity,
                               replace(preparation, equalization="none"))  # fmt: skip
    return dataset.splits["train"]


def _preparation(data: str, crop: str, displace: bool) -> Preparation:
    preparation = preparation_of(data).with_crop(crop)
    return replace(preparation, displaced=True) if displace else preparation


def _build(experiment: Experiment, images, precision: str) -> keras.Model:
    """The model, with its pixel normalisation and the initial weights of the experiment."""
    if experiment.weights == "imagenet":
        given = initial_weights.imagenet_weights(experiment.backbone)
        normalisation = initial_weights.IMAGENET_PIXELS
    else:
        given = None
        if experiment.weights != "scratch":
            given = initial_weights.read_weights(experiment.weights)
        if given and initial_weights.input_channels(given) == 3:
            normalisation = initial_weights.pixels_of_colour(experiment.weights)
        elif experiment.epochs == 0:
            normalisation = initial_weights.recorded_pixels(experiment.weights)
        else:
            sample = images[np.linspace(0, len(images) - 1, min(len(images), 1000)).astype(int)]
            normalisation = {
                "pixel_mean": round(float(sample.mean()), 2),
                "pixel_deviation": round(float(sample.std()), 2) or 1.0,
            }
    try:
        model = build_model(
            experiment.backbone,
            experiment.branches,
            experiment.fusion,
            experiment.image_size,
            **normalisation,
            precision=precision,
            attention=experiment.attention,
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    if given:
        known = initial_weights.set_weights_by_layer(model, given, experiment.weights)
        new = [layer.name for layer in model.layers if layer.weights and layer.name not in known]
        if new and experiment.epochs == 0:
            raise InputError(f"{experiment.weights}: has no weights for {', '.join(new)}, and "
                             "no epoch trains them")
    return model


def _announce(
    experiment: Experiment,
    model: keras.Model,
    dataset: Dataset,
    precision: str,
    devices: int,
    place: RunFolder,
) -> None:
    splits = ", ".join(
        f"{split} {len(knees)} ({' '.join(map(str, knees.grade_counts()))})"
        for split, knees in dataset.splits.items()
    )
    rounds = experiment.stability
    stability = f", {rounds} rounds of stability training" if rounds else ""
    shared = f", batches shared by {devices} devices" if devices > 1 else ""
    print(
        f"{experiment.name} | {model.count_params():,} parameters | "
        f"{'synthetic phantoms' if dataset.synthetic else experiment.data}: {splits} by KL 0-4 | "
        f"{experiment.image_size[0]}x{experiment.image_size[1]}, batch {experiment.batch_size}, "
        f"lr {experiment.learning_rate:g}, at most {experiment.epochs} epochs{stability} | "
        f"{precision} on {device.describe_device()}, {keras.backend.backend()}{shared} | "
        f"{place.folder}",
        flush=True,
    )
    if experiment.data and (others := other_folders(Path(experiment.data))):
        print(f"folders that are not read: {', '.join(others)}")
    if "test" not in dataset.splits:
        print("no test split: results are reported for the validation split")
    for grade, count in enumerate(dataset.splits["train"].grade_counts()):
        if count == 0:
            print(f"warning: the training split has no knee of grade {grade}")
    trained = set(dataset.splits["train"].subjects) - {""}
    for split, knees in dataset.splits.items():
        if split != "train" and (shared := trained.intersection(knees.subjects)):
            print(f"warning: persons in both the training and the {split} split, by the manifest "
                  f"or the file names: {len(shared)}. If they are the same persons, the {split} "
                  "results are too good; make_dataset.py --verify names them")
    if dataset.manifest_remark:
        print(f"warning: {dataset.manifest_remark}")
    if dataset.inverted:
        print(f"photographic negatives inverted: {len(dataset.inverted)}, listed in "
              f"{place.inverted}")
    if dataset.trimmed:
        print(f"uniform borders removed: {len(dataset.trimmed)}, listed in {place.trimmed}")
    if dataset.unreadable:
        print(f"unreadable images skipped: {len(dataset.unreadable)} (the first: "
              f"{dataset.unreadable[0]}), listed in {place.unreadable}")
