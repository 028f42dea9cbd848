"""Train and evaluate the joint localiser, with a run folder like that of an experiment."""

import os
import time
from itertools import chain, count
from pathlib import Path

import keras
import pandas as pd

from knee_attention import device
from knee_attention.datasets.fingerprint import file_records, write_records
from knee_attention.files import files_below, reserve, written_whole
from knee_attention.films.localiser import Localiser
from knee_attention.networks.files.model_files import HEADING
from knee_attention.networks.files.onnx_export import onnx_package
from knee_attention.runs.finishing import environment
from knee_attention.runs.known_data import refuse_other_records
from knee_attention.runs.localiser.films import (
    KnownFilm,
    LocaliserImages,
    images_below,
    phantom_films,
    real_films,
    square_crops,
)
from knee_attention.runs.localiser.network import (
    build_localiser,
    convolution_weights,
    export_localiser,
    localiser_loss,
)
from knee_attention.runs.localiser.results import (
    crop_summary,
    match_joints,
    refused_summary,
    summary,
    write_evidence,
)
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.localiser.views import LocaliserViews
from knee_attention.runs.output_folder import refuse_overlap
from knee_attention.runs.progress import Progress
from knee_attention.runs.run_folder import RunFolder

PHANTOMS = {"validation": 20, "test": 200}
SUMMARIES = ("crops", "distractors", "implants")
"""Entries of the results that are not sets of films with known joints."""

VALIDATION_BATCHES = 8
WORTH_COMPILING = 500
"""Number of steps from which XLA is also used on a CPU. It makes a step of this small network up to
twice as fast, but compilation takes 20 s."""

VALIDATION_SEED = 2**32
"""Seed of the validation batches, larger than any seed of a training."""


def run_localiser(settings: LocaliserRun, output: Path, overwrite: bool = False) -> dict:
    """Train, export and evaluate a localiser. A killed run is resumed.

    Args:
        settings: the settings of the training.
        output: the run's folder.
        overwrite: clear a folder with a run and start again.

    Returns:
        the content of the run's `results.json`.

    Raises:
        InputError: films, boxes or the folder cannot be used, or onnx is not installed.
    """
    onnx_package()  # fail before the training, not at the export
    place = RunFolder(output)
    refuse_overlap(output, settings.reads, overwrite)
    with place.locked():
        restart = overwrite and place.exists
        records = file_records(_images_of(settings))
        if not restart:
            refuse_other_records(place, records, settings.origin)
        results = None if restart else place.results_of(settings)
        if results:
            print(f"{output}: already finished; --overwrite runs it again")
            return results
        began = time.perf_counter()
        learning, validation, films = _films(settings)
        if restart:
            place.clear()
        place.begin(settings, [])
        if records:
            write_records(place.data_file, records)
        precision = device.choose_precision(settings.precision)
        if precision == "mixed_float16":  # it needs loss scaling, which this training lacks
            precision = "float32"
        keras.utils.set_random_seed(settings.seed)
        model = build_localiser(precision)
        print(f"localiser, {settings.origin}: {len(learning.real)} films, {len(learning.crops)} "
              f"crops, {len(learning.phantoms)} phantoms, {len(learning.distractors)} other "
              f"images, {len(learning.implants)} implants; {convolution_weights(model):,} weights "
              f"in convolutions, {precision}, {device.describe_device()}; {output}")
        before = place.seconds_trained()
        history = _train(model, learning, validation, settings, place)
        export_localiser(model, place.localiser)
        joints, measured = _measured(Localiser(place.localiser), films, validation)
        results = {
            "name": settings.name,
            "synthetic": settings.synthetic,
            "parameters": model.count_params(),
            "convolution_weights": convolution_weights(model),
            "epochs": len(history),
            "split": "held_out",
            "held_out": measured,
        }
        write_evidence(joints, place)
        seconds = before + time.perf_counter() - began
        trained = sum(row["seconds"] for row in history)
        place.finish(results, environment(precision, trained, seconds))
        return results


def _images_of(settings: LocaliserRun) -> list[tuple[str, str, str, Path]]:
    """All files that a training may read, for `file_records`."""
    found = []
    for place in map(Path, settings.reads):
        files = files_below(place) if place.is_dir() else [place]
        found += [(place.name, os.path.relpath(path, place), "", path) for path in files]
    return found


def _films(
    settings: LocaliserRun,
) -> tuple[LocaliserImages, LocaliserImages, dict[str, list[KnownFilm]]]:
    """The training images, the validation images, and the films of the evaluation by set.

    The films of a set are its test split or, without one, its validation split.
    """
    splits = ("train", "validation")
    counts = {"train": settings.films, **PHANTOMS}
    phantoms = {split: phantom_films(number, split, settings.seed)
                for split, number in counts.items()}  # fmt: skip
    measured = {"phantoms": phantoms["test"]}
    real = {split: [] for split in splits}
    for data, boxes in zip(map(Path, settings.data), map(Path, settings.boxes), strict=True):
        found = real_films(data, boxes, settings.seed, settings.box_kind)
        measured[_new_name(data.name, measured)] = found.get("test", found["validation"])
        for split in splits:
            real[split] += found[split]
    implants = Path(settings.implants) if settings.implants else None
    others = {split: [] for split in splits}
    metal = images_below(implants) if implants else others
    if settings.distractors:
        others = images_below(Path(settings.distractors), implants)
    crops = {split: square_crops(Path(settings.crops), split) if settings.crops else []
             for split in splits}  # fmt: skip
    learning, validation = (
        LocaliserImages(phantoms[split], real[split], crops[split], others[split], metal[split])
        for split in splits
    )
    return learning, validation, measured


def _new_name(name: str, taken: dict) -> str:
    """The name of a set of films, with a number if the name is taken."""
    numbered = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(new for new in numbered if new not in (*taken, *SUMMARIES))


def _measured(
    localiser: Localiser, films: dict[str, list[KnownFilm]], validation: LocaliserImages
) -> tuple[dict, dict]:
    """The joints found in each set of films, and the metrics of each set."""
    joints = {name: match_joints(localiser, found) for name, found in films.items()}
    numbers = {name: summary(found) for name, found in joints.items()}
    if validation.crops:
        numbers["crops"] = crop_summary(localiser, validation.crops)
    for name in ("distractors", "implants"):
        images = getattr(validation, name)
        if images:
            numbers[name] = refused_summary(localiser, images)
    return joints, numbers


def _train(
    model: keras.Model,
    learning: LocaliserImages,
    validation: LocaliserImages,
    settings: LocaliserRun,
    place: RunFolder,
) -> list[dict]:
    """Fit the model. Every epoch writes the weights and the history to the folder."""
    last = settings.epochs * settings.steps
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, last)
    model.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=5.0),
        loss=localiser_loss,
        jit_compile=last >= WORTH_COMPILING or device.choose_jit_compile(),
    )
    state = place.weights_checkpoint
    rows = _resume(model, state, place.history, settings.steps)
    views = LocaliserViews(learning, settings.batch_size, settings.seed)
    unseen = LocaliserViews(validation, settings.batch_size, VALIDATION_SEED)
    unseen = list(unseen.batches(0, VALIDATION_BATCHES))
    batches = views.batches(len(rows) * settings.steps, last)
    progress = Progress(settings.epochs, len(rows))
    with progress.shown():
        for epoch in range(len(rows), settings.epochs):
            began = time.perf_counter()
            progress.begin_epoch(settings.steps)
            losses = []
            for _ in range(settings.steps):
                model.reset_metrics()  # before Keras 3.15, a loss is the mean since the last reset
                losses.append(float(model.train_on_batch(*next(batches))))
                progress.end_step(sum(losses) / len(losses))
            val_losses = []
            for batch in unseen:
                model.reset_metrics()
                val_losses.append(float(model.test_on_batch(*batch)))
            row = {
                "epoch": epoch + 1,
                "seconds": round(time.perf_counter() - began, 2),
                "loss": sum(losses) / len(losses),
                "val_loss": sum(val_losses) / len(val_losses),
            }
            rows.append(row)
            progress.end_epoch(f"loss {row['loss']:.4g}, validation loss {row['val_loss']:.4g}")
            with written_whole(place.history) as beside:
                pd.DataFrame(rows).to_csv(beside, index=False)
            with written_whole(state) as beside:
                # Adam adds two numbers per weight.
                reserve(beside, 3 * 4 * model.count_params() + HEADING)
                model.save_weights(beside)
    return rows


def _resume(model: keras.Model, state: Path, history: Path, steps: int) -> list[dict]:
    """Restore the model and optimizer of a killed training; returns the rows of its history.

    The optimizer's number of steps tells which rows belong to the saved weights.
    """
    if not (state.exists() and history.exists()):
        return []
    model.optimizer.build(model.trainable_variables)
    model.load_weights(state)
    rows = pd.read_csv(history).to_dict("records")[: int(model.optimizer.iterations) // steps]
    print(f"resuming after epoch {len(rows)}")
    return rows
