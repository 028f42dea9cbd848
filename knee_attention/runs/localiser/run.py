"""Train the joint localiser and measure it: a run folder like that of every experiment."""

import os
import time
from pathlib import Path

import keras
import pandas as pd
from tqdm import tqdm

from knee_attention import device
from knee_attention.datasets.fingerprint import file_records, write_records
from knee_attention.files import files_below, written_whole
from knee_attention.films.localiser import Localiser
from knee_attention.networks.files.onnx_export import onnx_package
from knee_attention.runs.environment import environment
from knee_attention.runs.known_data import refuse_other_records
from knee_attention.runs.localiser.films import (
    KnownFilm,
    LearningFilms,
    images_below,
    phantom_films,
    real_films,
    square_crops,
)
from knee_attention.runs.localiser.network import (
    build_localiser,
    convolution_weights,
    localiser_loss,
)
from knee_attention.runs.localiser.onnx_file import export_localiser
from knee_attention.runs.localiser.results import (
    crop_summary,
    localised,
    refused_summary,
    summary,
    write_evidence,
)
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.localiser.views import LocaliserViews
from knee_attention.runs.run_folder import RunFolder

PHANTOMS = {"validation": 20, "test": 200}
VALIDATION_BATCHES = 8
WORTH_COMPILING = 500
"""Steps from which on XLA is used on a CPU as well: it makes a step of this small network up to
twice as fast, and takes 20 s to begin with."""

VALIDATION_SEED = 2**31
"""Far from the seeds of the training, whose views it must not repeat."""


def run_localiser(asked: LocaliserRun, output: Path, overwrite: bool = False) -> dict:
    """Train, export and measure a localiser; continue it if it was killed.

    Args:
        asked: what to run.
        output: its folder.
        overwrite: begin anew in a folder that holds a run.

    Returns:
        the content of the run's `results.json`.

    Raises:
        InputError: films, boxes or a folder that cannot be used, or onnx is not installed.
    """
    onnx_package()  # asked for before anything is trained that could not be kept
    place = RunFolder(output)
    place.refuse_overlap(asked.reads, overwrite)
    with place.locked():
        anew = overwrite and place.begun
        records = file_records(_images_of(asked))
        if not anew:
            refuse_other_records(place, records, asked.origin)
        results = None if anew else place.results_of(asked)
        if results:
            print(f"{output}: finished before; --overwrite runs it again")
            return results
        began = time.perf_counter()
        learning, validation, films = _films(asked)
        if anew:
            place.clear()
        place.begin(asked, [])
        if records:
            write_records(place.data_file, records)
        precision = device.choose_precision(asked.precision)
        keras.utils.set_random_seed(asked.seed)
        model = build_localiser(precision)
        print(f"localiser, {asked.origin}: {len(learning.real)} films, {len(learning.crops)} "
              f"crops, {len(learning.phantoms)} phantoms, {len(learning.distractors)} other "
              f"images, {len(learning.implants)} implants; {convolution_weights(model):,} weights "
              f"in convolutions, {precision}, {device.describe_device()}; {output}")
        before = place.seconds_trained()
        history = _train(model, learning, validation, asked, place)
        export_localiser(model, place.localiser)
        joints, measured = _measured(Localiser(place.localiser), films, validation)
        results = {
            "name": asked.name,
            "synthetic": asked.synthetic,
            "parameters": model.count_params(),
            "convolution_weights": convolution_weights(model),
            "epochs": len(history),
            "split": "held_out",
            "held_out": measured,
        }
        write_evidence(joints, place)
        seconds = before + time.perf_counter() - began
        place.finish(results, environment(precision, history, seconds))
        return results


def _images_of(asked: LocaliserRun) -> list[tuple[str, str, str, Path]]:
    """Every file that a training may read, as `file_records` takes it."""
    found = []
    for place in map(Path, asked.reads):
        files = files_below(place) if place.is_dir() else [place]
        found += [(place.name, os.path.relpath(path, place), "", path) for path in files]
    return found


def _films(
    asked: LocaliserRun,
) -> tuple[LearningFilms, LearningFilms, dict[str, list[KnownFilm]]]:
    """What is learnt from, the same of the validation split, and the films that are measured by
    set: their test split, or the validation split where there is none."""
    measured = {}
    splits = ("train", "validation")
    real = {split: [] for split in splits}
    for data, boxes in zip(map(Path, asked.data), map(Path, asked.boxes), strict=True):
        found = real_films(data, boxes, asked.seed, asked.box_kind)
        measured[_new_name(data.name, measured)] = found.get("test", found["validation"])
        for split in splits:
            real[split] += found[split]
    implants = Path(asked.implants) if asked.implants else None
    others = {split: [] for split in splits}
    metal = images_below(implants) if implants else others
    if asked.distractors:
        others = images_below(Path(asked.distractors), implants)
    crops = {split: square_crops(Path(asked.crops), split) if asked.crops else []
             for split in splits}  # fmt: skip
    counts = {"train": asked.films, **PHANTOMS}
    phantoms = {split: phantom_films(count, split, asked.seed) for split, count in counts.items()}
    measured = {"phantoms": phantoms["test"], **measured}
    learning, validation = (
        LearningFilms(phantoms[split], real[split], crops[split], others[split], metal[split])
        for split in splits
    )
    return learning, validation, measured


def _new_name(name: str, taken: dict) -> str:
    """A name for a set of films; a number tells sets of one name apart."""
    return name if name not in taken else f"{name}-{len(taken) + 1}"


def _measured(
    localiser: Localiser, films: dict[str, list[KnownFilm]], validation: LearningFilms
) -> tuple[dict, dict]:
    """The joints found in each set of films, and the numbers over each set of images."""
    joints = {name: localised(localiser, found) for name, found in films.items()}
    numbers = {name: summary(found) for name, found in joints.items()}
    if validation.crops:
        numbers["crops"] = crop_summary(localiser, validation.crops)
    for name in ("distractors", "implants"):
        images = getattr(validation, name)
        if images:
            numbers[name] = refused_summary(localiser, images)
    return joints, numbers


def _train(
    model: keras.Model, learning: LearningFilms, validation: LearningFilms, asked: LocaliserRun,
    place: RunFolder,
) -> list[dict]:  # fmt: skip
    """Fit the model; every epoch leaves its weights and a row of the history in the folder."""
    last = asked.epochs * asked.steps
    rate = keras.optimizers.schedules.CosineDecay(asked.learning_rate, last)
    model.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=5.0),
        loss=localiser_loss,
        jit_compile=last >= WORTH_COMPILING or device.choose_jit_compile(),
    )
    state = place.weights_checkpoint
    rows = _resume(model, state, place.history, asked.steps)
    views = LocaliserViews(learning, asked.batch_size, asked.seed)
    unseen = LocaliserViews(validation, asked.batch_size, VALIDATION_SEED)
    unseen = list(unseen.batches(0, VALIDATION_BATCHES))
    batches = views.batches(len(rows) * asked.steps, last)
    for epoch in range(len(rows), asked.epochs):
        began = time.perf_counter()
        title = f"epoch {epoch + 1} of {asked.epochs}"
        losses = [
            float(model.train_on_batch(*next(batches)))
            for _ in tqdm(range(asked.steps), desc=title, disable=None)
        ]
        val_losses = [float(model.test_on_batch(*batch)) for batch in unseen]
        rows.append({
            "epoch": epoch + 1,
            "seconds": round(time.perf_counter() - began, 2),
            "loss": sum(losses) / len(losses),
            "val_loss": sum(val_losses) / len(val_losses),
        })
        print(f"{title}: " + ", ".join(f"{k} {v:.4g}" for k, v in rows[-1].items() if k != "epoch"),
              flush=True)
        with written_whole(place.history) as beside:
            pd.DataFrame(rows).to_csv(beside, index=False)
        with written_whole(state) as beside:
            model.save_weights(beside)
    return rows


def _resume(model: keras.Model, state: Path, history: Path, steps: int) -> list[dict]:
    """Put a killed training's state back: weights, moments and the count of steps, which says how
    many rows of the history it has.
    """
    if not (state.exists() and history.exists()):
        return []
    model.optimizer.build(model.trainable_variables)
    model.load_weights(state)
    rows = pd.read_csv(history).to_dict("records")[: int(model.optimizer.iterations) // steps]
    print(f"continuing after epoch {len(rows)}")
    return rows
