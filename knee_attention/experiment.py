"""One experiment of the paper: what distinguishes it, and its command line."""

import argparse
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import command_line
from knee_attention.quiet import start_keras

VARIANTS = {"early_fusion": "early_fusion", "multi_loss": "multiloss"}
LARGEST_SIDE = 4096
"""Of an image in pixels: `networks.model_file` takes a file with larger ones for damaged."""

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class Experiment:
    """What distinguishes one experiment; the defaults are the paper's (section 4).

    Attributes:
        backbone: `vgg16`, `resnet50`, `antony_clsf` or `antony_extended`.
        branches: attention branches, from `att0` to `att2`.
        fusion: `single`, `early_fusion` or `multi_loss`.
        loss_weights: one a head.
        data: a data folder or HDF5 file; None for phantoms.
        image_size: height and width in pixels.
        epochs: at most this many.
        batch_size: knees a step.
        learning_rate: of Adam, at the start.
        patience: how many times the paper's epochs without progress to wait.
        precision: a Keras dtype policy, or `auto`.
        weights: `scratch`, `imagenet`, or a file.
        batch_norm: `precise` (re-estimated before each validation) or `moving` (as in the paper).
        limit: at most this many knees a split.
        seed: of everything random.
    """

    backbone: str = "vgg16"
    branches: tuple[str, ...] = ("att0",)
    fusion: str = "single"
    loss_weights: tuple[float, ...] = (1.0,)
    data: str | None = None
    image_size: tuple[int, int] = (320, 224)
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-5
    patience: int = 1
    precision: str = "auto"
    weights: str = "scratch"
    batch_norm: str = "precise"
    limit: int | None = None
    seed: int = 0

    @property
    def variant(self) -> str:
        """`att0`, `att1`, `att2`, `early_fusion` or `multiloss`."""
        return VARIANTS.get(self.fusion, self.branches[0])

    @property
    def name(self) -> str:
        """Backbone and variant, as in `vgg16_multiloss`."""
        return f"{self.backbone}_{self.variant}"

    @property
    def output_weights(self) -> dict[str, float]:
        """The model's outputs and the weights of their losses."""
        outputs = ("kl",) if self.fusion == "early_fusion" else self.branches
        return dict(zip(outputs, self.loss_weights, strict=True))

    def as_json(self) -> dict:
        """All of this as `experiment.json` holds it."""
        fields = dataclasses.asdict(self).items()
        return {"name": self.name} | {
            name: list(value) if isinstance(value, tuple) else value for name, value in fields
        }


_SMALL = {"image_size": (160, 112), "epochs": 8, "batch_size": 8, "learning_rate": 5e-4}
PHANTOM_SETTINGS = {
    "vgg16": {"image_size": (96, 64), "epochs": 4, "batch_size": 4, "learning_rate": 1.5e-4},
    "resnet50": {"image_size": (128, 96), "epochs": 4, "batch_size": 8, "learning_rate": 3e-4},
    "antony_clsf": _SMALL,
    "antony_extended": _SMALL,
}
"""Where phantoms differ from the paper: a setting that two cores finish in minutes."""


def main(experiment: Experiment, arguments: list[str] | None = None) -> None:
    """The command line of an experiment's script.

    Args:
        experiment: what the script runs, in the paper's setting.
        arguments: the command line without the program; by default the process's own.
    """
    parser = argparse.ArgumentParser(
        description=f"Train, evaluate and save {experiment.name}: branches "
        f"{', '.join(experiment.branches)}, {experiment.fusion.replace('_', ' ')}. Without --data "
        "it draws synthetic knee radiographs and takes a small setting.",
    )
    phantom = PHANTOM_SETTINGS[experiment.backbone]
    add_options(parser, f"runs/{experiment.name}", phantom)
    options = vars(parser.parse_args(arguments))
    output, overwrite, pdf = (options.pop(name) for name in ("output", "overwrite", "pdf"))
    experiment = with_options(experiment, options, phantom)
    with command_line(Path(sys.argv[0]).name):
        start_keras()
        from knee_attention.evidence.tables import results_table
        from knee_attention.runner import run

        output = output or Path("runs") / experiment.name
        results = run(experiment, output, overwrite, pdf)
        print(f"\nmodel, predictions and figures: {output}\n\n{results_table(results)}")


def with_options(experiment: Experiment, options: dict, phantom: dict) -> Experiment:
    """An experiment as the command line asks for it.

    Args:
        experiment: in the paper's setting.
        options: values of `add_options` by name, None where not given.
        phantom: the setting on phantoms, taken where no data are named.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return dataclasses.replace(experiment, **{**({} if options["data"] else phantom), **given})


def add_options(parser: argparse.ArgumentParser, output: str, phantom: dict | None) -> None:
    """Declare the options that every experiment has.

    Args:
        parser: to add them to.
        output: the default folder.
        phantom: the setting on phantoms for the help; None where it differs between experiments.
    """
    paper = Experiment()

    def default(name: str) -> str:
        small = _shown(phantom[name]) if phantom else "smaller"
        return f"{_shown(getattr(paper, name))}; phantoms {small}"

    def add(flag, text, default=None, **kwargs):
        default = f" (default: {default})" if default is not None else ""
        parser.add_argument(flag, help=text + default, **kwargs)

    add("--data", "folder train|validation|test/<grade>/<image>, or .h5 of make_dataset.py",
        "synthetic phantoms", metavar="DIR|FILE.h5", type=_data)
    add("--output", "folder of the results", output, metavar="DIR", type=Path)
    add("--epochs", "at most this many", default("epochs"), type=positive_number, metavar="N")
    add("--batch-size", "knees a step", default("batch_size"), type=positive_number, metavar="N")
    add("--learning-rate", "of Adam, at the start", default("learning_rate"), type=rate,
        metavar="X")
    add("--patience", "K times the paper's epochs without a better validation loss before the rate "
        "falls (2) and training ends (3)", paper.patience, type=positive_number, metavar="K")
    add("--image-size", "height and width in pixels", default("image_size"), type=image_side,
        nargs=2, action=_Size, metavar=("H", "W"))
    add("--precision", "auto takes what is fastest on this device", paper.precision,
        choices=PRECISIONS)
    add("--weights", "scratch, imagenet, or an .h5/.keras file of the same backbone",
        paper.weights, metavar="scratch|imagenet|FILE")
    add("--batch-norm", "precise: statistics re-estimated before each validation; moving: Keras' "
        "moving averages, the paper's letter", paper.batch_norm, choices=("precise", "moving"))
    add("--limit", "at most N knees a split, each grade in its share; for trying", metavar="N",
        type=positive_number)
    add("--seed", "of everything random", paper.seed, type=seed_number, metavar="N")
    parser.add_argument("--overwrite", action="store_true", help="begin a finished run anew")
    parser.add_argument("--pdf", action="store_true", help="also draw figures as PDF")


def _shown(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


class _Size(argparse.Action):
    """Two numbers as the tuple that `Experiment` holds."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, tuple(values))


def _data(text: str) -> str:
    return str(Path(text).absolute())


def positive_number(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, not {text}")
    return number


def image_side(text: str) -> int:
    """A number of pixels that a model file may hold, for argparse."""
    number = positive_number(text)
    if number > LARGEST_SIDE:
        raise argparse.ArgumentTypeError(f"expected at most {LARGEST_SIDE} pixels, not {text}")
    return number


def seed_number(text: str) -> int:
    """A seed that NumPy takes, for argparse."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^32 - 1, not {text}")
    return number


def rate(text: str) -> float:
    """A number above 0, for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text}")
    return number
