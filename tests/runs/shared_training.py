"""Train on one device and on two virtual ones, and print the differences of the results.

    PYTHONPATH=tests python tests/runs/shared_training.py FOLDER precise|moving

This needs its own process, because the devices must exist before the backend starts.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np
from small_trainings import TINY

from knee_attention import device
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.device import find_devices, shared_by
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.measure import measure
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.training import compile_model, train

BACKBONES["tiny"] = TINY
SIDE = 64
EXPERIMENT = Experiment("tiny", ("att0", "att1"), "multi_loss", (1.0, 0.8),
                        image_size=(SIDE, SIDE), learning_rate=1e-4)  # fmt: skip


def two_devices() -> list[str]:
    """Two virtual devices of the CPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        [cpu] = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
        tf.config.set_logical_device_configuration(cpu, parts)
    return find_devices(2)


def knees(count: int) -> Knees:
    """Pictures of bright and dark squares. With noise, deep features would be almost constant."""
    generator = np.random.default_rng(count)
    grades = generator.integers(5, size=count)
    squares = generator.integers(0, 255, (count, 8, 8)).astype(np.uint8)
    images = np.kron(squares, np.ones((1, SIDE // 8, SIDE // 8), np.uint8))
    return Knees(images, grades, [f"{n}R" for n in range(count)], [""] * count)


def trained(
    experiment: Experiment, devices: list[str], folder: Path, stops: tuple[int, ...]
) -> dict:
    """Two epochs of five steps, the last with three knees; optionally interrupted and resumed."""
    count, weights = len(devices), experiment.output_weights
    training, validation = (knees(number) for number in (19, 11))
    with shared_by(devices):
        for epochs in stops:
            keras.utils.set_random_seed(0)
            model = build_model(experiment.backbone, experiment.branches, experiment.fusion,
                                experiment.image_size, precision="float32")  # fmt: skip
            compile_model(model, weights, experiment.learning_rate,
                          device.choose_jit_compile(count), count)  # fmt: skip
            # Adam normalises gradients, so a gradient that is only rounding error gives a full
            # step, unless it is below epsilon.
            model.optimizer.epsilon = 1e-3
            batches = KneeBatches(training, list(weights), 4, training=True, devices=count)
            shown = KneeBatches(validation, list(weights), 4, devices=count)
            settings = replace(experiment, epochs=epochs)
            history = train(model, batches, shown, settings, RunFolder(folder))
        seen = measure(model, validation, count)
        model.save(folder / "model.keras")
    return {
        # Accuracies are left out: rounding decides between two almost equally probable grades.
        "losses": [value for row in history for name, value in row.items() if "loss" in name],
        "probabilities": list(seen.predictions.probabilities.values()),
        "masks": list(seen.masks.values()),
        "trainable": [weight.numpy() for weight in model.trainable_weights],
        "statistics": [weight.numpy() for weight in model.non_trainable_weights],
        "names": [weight.path for weight in model.weights],
    }


def main(folder: Path, batch_norm: str) -> None:
    devices, experiment = two_devices(), replace(EXPERIMENT, batch_norm=batch_norm)
    one = trained(experiment, devices[:1], folder / "one", (2,))
    two = trained(experiment, devices, folder / "two", (1, 2) if batch_norm == "precise" else (2,))
    found = {"same names": one.pop("names") == two.pop("names")}
    for kind, values in one.items():
        pairs = zip(values, two[kind], strict=True)
        found[kind] = max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    loaded = keras.saving.load_model(folder / "two" / "model.keras")
    found["synchronized"] = any(getattr(layer, "synchronized", False) for layer in loaded.layers)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
