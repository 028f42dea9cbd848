"""The command line of an experiment's script."""

import argparse
import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

from knee_attention.commands.arguments import (
    absolute_path,
    as_path,
    count,
    named,
    positive_number,
    rate,
    seed_number,
)
from knee_attention.networks.fusions import described
from knee_attention.runs.experiment import CHOICES, Experiment, RunOptions
from knee_attention.runs.output_folder import refuse_collision
from knee_attention.runs.run_folder import RunFolder
from knee_attention.startup import command_line, start_keras


def main(experiment: Experiment, arguments: list[str] | None = None) -> None:
    """Run an experiment as its command line asks.

    Args:
        experiment: the script's experiment, in the paper's setting.
        arguments: the command line without the program name (default: that of the process).
    """
    parser = argparse.ArgumentParser(
        description=f"Train, evaluate and save {experiment.name}: "
        f"{described(experiment.branches, experiment.fusion)}. Without --data it draws synthetic "
        "knee radiographs and uses a small setting.",
    )
    add_options(parser, f"runs/{experiment.name}", experiment)
    options = vars(parser.parse_args(arguments))
    output = options.pop("output")
    with command_line(Path(sys.argv[0]).name, resumable=True):
        run_options = run_options_of(options)
        experiment = with_options(experiment, options)
        output = output or Path("runs") / experiment.name
        if not run_options.overwrite:
            refuse_collision(output, experiment)
        check_images(experiment, options, [output])
        start_keras()
        from knee_attention.evidence.result_lines import results_table
        from knee_attention.runs.run import run

        results = run(experiment, output, run_options)
        print(f"\nmodel, predictions and figures: {output}\n\n{results_table(results)}")


def with_options(experiment: Experiment, options: dict) -> Experiment:
    """The experiment with the options of a command line; on phantoms if they name no data.

    Args:
        experiment: the experiment in the paper's setting.
        options: values of `add_options` by name; None if an option is not given.

    Raises:
        InputError: the experiment cannot run with these options.
    """
    given = {name: tuple(value) if isinstance(value, list) else value
             for name, value in options.items() if value is not None}  # fmt: skip
    setting = {} if options["data"] else experiment.phantom_setting
    return dataclasses.replace(experiment, **{**setting, **given})


def check_images(experiment: Experiment, options: dict, folders: Iterable[Path]) -> None:
    """Refuse images that would be stretched unasked, unless a run has started with them.

    Args:
        experiment: the experiment, or any of a sweep.
        options: values of `add_options` by name.
        folders: the folder of the run, or of all runs of a sweep.

    Raises:
        InputError: see `refuse_stretching`.
    """
    may_stretch = experiment.data and not experiment.displace
    if may_stretch and not any(RunFolder(folder).exists for folder in folders):
        from knee_attention.runs.stretching import refuse_stretching

        refuse_stretching(experiment, bool(options["image_size"] or experiment.fixed_size))


def add_options(
    parser: argparse.ArgumentParser, output: str, experiment: Experiment | None
) -> None:
    """Add the options of every experiment.

    Args:
        parser: the parser to add them to.
        output: the default output folder, for the help.
        experiment: the experiment of the defaults in the help; None for a command of many
            experiments, whose defaults differ.
    """
    paper = experiment or Experiment()
    phantom = experiment.phantom_setting if experiment else None

    def default(name: str) -> str:
        small = _shown(phantom[name]) if phantom else "smaller"
        return f"{_shown(getattr(paper, name))}; phantoms {small}"

    def add(flag, text, default=None, **kwargs):
        default = f" (default: {default})" if default is not None else ""
        parser.add_argument(flag, help=text + default, **kwargs)

    add("--data", "folder train|validation|test/<grade>/<image>, or .h5 of make_dataset.py",
        "synthetic phantoms", metavar="DIR|FILE.h5", type=absolute_path)
    add("--output", "folder of the results", output, metavar="DIR", type=as_path)
    if experiment:
        add("--loss-weights", "weight of the loss of each output", _shown(paper.loss_weights),
            nargs="+", type=rate, metavar="W")
    none = "; 0 for --weights that need no further one" if experiment else ""
    add("--epochs", f"maximum number of epochs{none}", default("epochs"),
        type=count if experiment else positive_number, metavar="N")
    add("--batch-size", "knees per step", default("batch_size"), type=positive_number, metavar="N")
    add("--learning-rate", "initial learning rate of Adam", default("learning_rate"), type=rate,
        metavar="X")
    add("--patience", "factor on the paper's patience: epochs without a better validation loss "
        "until the learning rate falls (2) and training ends (3)", paper.patience,
        type=positive_number, metavar="K")
    add("--image-size", "height and width in pixels", default("image_size"), type=positive_number,
        nargs=2, metavar=("H", "W"))
    add("--precision", "auto is the fastest on this device", paper.precision,
        choices=CHOICES["precision"])
    if experiment:
        add("--weights", "scratch, imagenet, or an .h5/.keras file of the same backbone",
            paper.weights, metavar="scratch|imagenet|FILE", type=named)
    else:
        add("--weights", "scratch, imagenet, an .h5/.keras file, or the output folder of another "
            "sweep: each run starts from the model of the run with the same name there",
            paper.weights, metavar="scratch|imagenet|FILE|DIR", type=named)
    add("--batch-norm", "precise: re-estimate the statistics before each validation; moving: use "
        "Keras' moving averages, as the paper does", paper.batch_norm,
        choices=CHOICES["batch_norm"])
    add("--augment", "flips: mirror left to right, as the paper does; strong: also rotate, shift, "
        "zoom, and change exposure a little; wide: more of it, blur, noise and JPEG",
        paper.augment, choices=CHOICES["augment"])
    add("--schedule", "learning rate. plateau: falls when the validation loss stops improving; "
        "cosine: falls to zero over --epochs", paper.schedule, choices=CHOICES["schedule"])
    add("--polarity", "auto inverts photographic negatives; as-is leaves every image as it is",
        paper.polarity, choices=CHOICES["polarity"])
    add("--crop", "what the knees of --data show, if the data do not record it: half of a film, or "
        "a crop of the joint (square: as in the public set). Phantoms are cropped this way",
        paper.crop, choices=CHOICES["crop"])
    parser.add_argument("--displace", action="store_true",
                        help="shrink the square crops of --data and set them at different places "
                        "on drawn legs, to test whether attention finds the joint")
    add("--attention", "how masks are computed. local: weights for every position, as in the "
        "paper; shared: one 1x1 convolution; none: plain global average pooling", paper.attention,
        choices=CHOICES["attention"])
    add("--targets", "what the loss compares with. grades: the true grade, as in the paper; "
        "gaussian: also its neighbours, so that a near miss costs less", paper.targets,
        choices=CHOICES["targets"])
    if experiment and experiment.branches:
        add("--stability", "after the epochs, N rounds of 50 steps in which the network learns to "
            "grade noisy, blurred, compressed and badly cropped knees as it did clean ones",
            paper.stability, type=count, metavar="N")
        add("--teacher", "with --stability: an .h5/.keras file of the same network, whose grades "
            "are learned in place of the network's own", metavar="FILE", type=absolute_path)
    parser.add_argument("--flips", action="store_true",
                        help="the trained model averages its probabilities over each knee and its "
                        "mirror image; the paper's does not")
    add("--limit", "at most N knees per split, with the same proportions of grades, for tests",
        metavar="N", type=positive_number)
    add("--seed", "seed of initial weights, order, augmentation, phantoms and --limit",
        paper.seed, type=seed_number, metavar="N")
    parser.add_argument("--overwrite", action="store_true",
                        help="train from the start, even if the run is unfinished; leave it out "
                        "to resume")
    parser.add_argument("--pdf", action="store_true", help="also draw figures as PDF")
    add("--devices", "GPUs of this machine that share each batch", 1, type=_devices,
        metavar="N|all")
    parser.add_argument("--tensorboard", action="store_true",
                        help="also write TensorBoard logs into the folder of the run")


def run_options_of(options: dict) -> RunOptions:
    """Take the run options, which do not affect the results, out of a command's options.

    Raises:
        InputError: a package that an option needs is not installed.
    """
    names = [field.name for field in dataclasses.fields(RunOptions)]
    return RunOptions(**{name: options.pop(name) for name in names})


def _shown(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def _devices(text: str) -> int | str:
    return text if text == "all" else positive_number(text)
