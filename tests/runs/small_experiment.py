"""A small experiment, and the command line that runs it."""

import json
from pathlib import Path

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

SMALL = Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss",
                   loss_weights=(1.0, 0.8))  # fmt: skip
QUICK = ["--image-size", "96", "96", "--batch-size", "10", "--learning-rate", "1e-3",
         "--precision", "float32"]  # fmt: skip


def run(experiment: Experiment, *arguments) -> None:
    main(experiment, [*QUICK, *map(str, arguments)])


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())
