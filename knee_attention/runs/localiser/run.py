"""Train the joint localiser and measure it: a run folder like that of every experiment."""

import time
from pathlib import Path

import keras
import pandas as pd
from tqdm import tqdm

from knee_attention import device
from knee_attention.files import written_whole
from knee_attention.films.localiser import Localiser
from knee_attention.networks.files.localiser_onnx import export_localiser
from knee_attention.networks.files.onnx_export import onnx_package
from knee_attention.networks.localiser import build_localiser, convolution_weights, line_loss
from knee_attention.runs.environment import environment
from knee_attention.runs.localiser.films import phantom_films, real_films
from knee_attention.runs.localiser.results import results_of, write_evidence
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.localiser.views import BoxedFilm, LocaliserViews
from knee_attention.runs.run_folder import Run

PHANTOMS = {"validation": 40, "test": 200}
VALIDATION_BATCHES = 8
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
    place = Run(output)
    place.refuse_overlap(asked, overwrite)
    with place.claimed():
        anew = overwrite and place.begun
        results = None if anew else place.results_of(asked)
        if results:
            print(f"{output}: finished before; --overwrite runs it again")
            return results
        began = time.perf_counter()
        films = _films(asked)
        if anew:
            place.clear()
        place.begin(asked, [])
        precision = device.choose_precision(asked.precision)
        keras.utils.set_random_seed(asked.seed)
        model = build_localiser(precision)
        print(f"localiser, {asked.origin}: {len(films['train'])} films, "
              f"{convolution_weights(model):,} weights in convolutions, {precision}, "
              f"{device.describe_device()}; {output}")
        before = place.seconds_trained()
        history = _train(model, films, asked, place)
        export_localiser(model, place.localiser)
        measured = results_of(Localiser(place.localiser), films["test"])
        results = {
            "name": asked.name,
            "synthetic": asked.data is None,
            "parameters": model.count_params(),
            "convolution_weights": convolution_weights(model),
            "epochs": len(history),
            "films": len(films["test"]),
            "split": "test",
            "test": measured.summary(),
        }
        write_evidence(measured, f"localiser, {asked.origin}, test", place)
        seconds = before + time.perf_counter() - began
        place.finish(results, environment(precision, history, seconds))
        return results


def _films(asked: LocaliserRun) -> dict[str, list[BoxedFilm]]:
    if asked.data:
        return real_films(Path(asked.data), Path(asked.boxes), asked.seed)
    counts = {"train": asked.films, **PHANTOMS}
    return {split: phantom_films(count, split, asked.seed) for split, count in counts.items()}


def _train(
    model: keras.Model, films: dict[str, list[BoxedFilm]], asked: LocaliserRun, place: Run
) -> list[dict]:
    """Fit the model; every epoch leaves its weights and a row of the history in the folder."""
    last = asked.epochs * asked.steps
    rate = keras.optimizers.schedules.CosineDecay(asked.learning_rate, last)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=line_loss,
        jit_compile=device.choose_jit_compile(),
    )
    state = place.weights_checkpoint
    rows = _resume(model, state, place.history, asked.steps)
    views = LocaliserViews(films["train"], asked.batch_size, asked.seed)
    held_out = LocaliserViews(films["validation"], asked.batch_size, VALIDATION_SEED)
    held_out = list(held_out.batches(0, VALIDATION_BATCHES))
    batches = views.batches(len(rows) * asked.steps, last)
    for epoch in range(len(rows), asked.epochs):
        began = time.perf_counter()
        title = f"epoch {epoch + 1} of {asked.epochs}"
        losses = [
            float(model.train_on_batch(*next(batches)))
            for _ in tqdm(range(asked.steps), desc=title, disable=None)
        ]
        validation = sum(float(model.test_on_batch(*batch)) for batch in held_out)
        rows.append({
            "epoch": epoch + 1,
            "seconds": round(time.perf_counter() - began, 2),
            "loss": sum(losses) / len(losses),
            "val_loss": validation / len(held_out),
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
