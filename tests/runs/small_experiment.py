"""A small experiment, the command line that runs it, and a small backbone."""

import json
from pathlib import Path

from knee_attention.commands.scripts.experiment import main
from knee_attention.networks.backbones import Backbone
from knee_attention.runs.experiment import Experiment

SMALL = Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss",
                   loss_weights=(1.0, 0.8))  # fmt: skip
QUICK = ["--image-size", "96", "96", "--batch-size", "10", "--learning-rate", "1e-3",
         "--precision", "float32"]  # fmt: skip


def run(experiment: Experiment, *arguments) -> None:
    main(experiment, [*QUICK, *map(str, arguments)])


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def tiny(images):
    from keras import layers

    x = layers.Conv2D(4, 5, strides=4, activation="relu", name="tiny_conv1")(images)
    x = layers.MaxPooling2D(2, name="tiny_pool1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="tiny_conv2")(x)
    return layers.MaxPooling2D(2, name="tiny_pool2")(x)


TINY = Backbone(
    build=tiny,
    taps={"att0": "tiny_pool1", "att1": "tiny_pool2"},
    smallest=64,
    known_by="tiny_conv1",
    first_convolution="tiny_conv1",
    phantom_setting={"image_size": (72, 64), "epochs": 1, "batch_size": 5, "learning_rate": 1e-3},
)
