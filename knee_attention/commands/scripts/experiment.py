"""The command line of an experiment's script."""

import argparse
import dataclasses
import sys
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number, rate, seed_number
from knee_attention.networks.fusions import described
from knee_attention.runs.experiment import CHOICES, Experiment
from knee_attention.runs.run_options import RunOptions
from knee_attention.startup import command_line, start_keras


def main(experiment: Experiment, arguments: list[str] | None = None) -> None:
    """The command line of an experiment's script.

    Args:
        experiment: what the script runs, in the paper's setting.
        arguments: the command line without the program; by default the process's own.
    """
    parser = argparse.ArgumentParser(
        description=f"Train, evaluate and save {experiment.name}: "
        f"{described(experiment.branches, experiment.fusion)}. Without --data it draws synthetic "
        "knee radiographs and takes a small setting.",
    )
    add_options(parser, f"runs/{experiment.name}", experiment.phantom_setting)
    options = vars(parser.parse_args(arguments))
    output = options.pop("output")
    with command_line(Path(sys.argv[0]).name):
        run_options = run_options_of(options)
        experiment = with_options(experiment, options)
        start_keras()
        from knee_attention.evidence.result_lines import results_table
        from knee_attention.runs.run import run

        output = output or Path("runs") / experiment.name
        results = run(experiment, output, run_options)
        print(f"\nmodel, predictions and figures: {output}\n\n{results_table(results)}")


def with_options(experiment: Experiment, options: dict) -> Experiment:
    """An experiment as the command line asks for it; on phantoms where no data are named.

    Args:
        experiment: in the paper's setting.
        options: values of `add_options` by name, None where not given.

    Raises:
        InputError: the options ask for what cannot be run.
    """
    given = {name: value for name, value in options.items() if value is not None}
    setting = {} if options["data"] else experiment.phantom_setting
    return dataclasses.replace(experiment, **{**setting, **given})


def add_options(parser: argparse.ArgumentParser, output: str, phantom: dict | None) -> None:
    """Declare the options that every experiment has.

    Args:
        parser: to add them to.
        output: the default folder.
        phantom: the setting on phantoms for the help; None for a command of many experiments,
            between which it differs.
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
    add("--output", "folder of the results", output, metavar="DIR", type=as_path)
    add("--epochs", "at most this many", default("epochs"), type=positive_number, metavar="N")
    add("--batch-size", "knees a step", default("batch_size"), type=positive_number, metavar="N")
    add("--learning-rate", "of Adam, at the start", default("learning_rate"), type=rate,
        metavar="X")
    add("--patience", "K times the paper's epochs without a better validation loss before the rate "
        "falls (2) and training ends (3)", paper.patience, type=positive_number, metavar="K")
    add("--image-size", "height and width in pixels", default("image_size"), type=positive_number,
        nargs=2, action=_Size, metavar=("H", "W"))
    add("--precision", "auto takes what is fastest on this device", paper.precision,
        choices=CHOICES["precision"])
    if phantom:
        add("--weights", "scratch, imagenet, or an .h5/.keras file of the same backbone",
            paper.weights, metavar="scratch|imagenet|FILE")
    else:
        add("--weights", "scratch, imagenet, an .h5/.keras file, or the output folder of another "
            "such command: each run starts from the model of the run of its name there",
            paper.weights, metavar="scratch|imagenet|FILE|DIR")
    add("--batch-norm", "precise: statistics re-estimated before each validation; moving: Keras' "
        "moving averages, the paper's letter", paper.batch_norm, choices=CHOICES["batch_norm"])
    add("--augment", "flips: left to right, the paper's; strong: also turned, shifted, zoomed and "
        "exposed a little differently", paper.augment, choices=CHOICES["augment"])
    add("--schedule", "of the learning rate. plateau: falls when validation stops improving; "
        "cosine: falls to nothing over --epochs", paper.schedule, choices=CHOICES["schedule"])
    add("--polarity", "auto turns photographic negatives; as-is leaves every image alone",
        paper.polarity, choices=CHOICES["polarity"])
    add("--crop", "what the knees of --data show, where the data do not say: halves of films, or "
        "crops of the joint (square: the public set's); of phantoms this is cut out", paper.crop,
        choices=CHOICES["crop"])
    add("--limit", "at most N knees a split, each grade in its share; for trying", metavar="N",
        type=positive_number)
    add("--seed", "initial weights, order, augmentation, phantoms and --limit follow from it",
        paper.seed, type=seed_number, metavar="N")
    parser.add_argument("--overwrite", action="store_true", help="begin a finished run anew")
    parser.add_argument("--pdf", action="store_true", help="also draw figures as PDF")
    add("--devices", "GPUs of this machine that share each batch", 1, type=_devices,
        metavar="N|all")
    parser.add_argument("--tensorboard", action="store_true",
                        help="also write what TensorBoard shows, into the folder of the run")


def run_options_of(options: dict) -> RunOptions:
    """Take what says how a run is done, and not what is run, out of a command's options.

    Raises:
        InputError: something that it needs is not installed.
    """
    names = [field.name for field in dataclasses.fields(RunOptions)]
    return RunOptions(**{name: options.pop(name) for name in names})


def _shown(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def _devices(text: str) -> int | str:
    return text if text == "all" else positive_number(text)


class _Size(argparse.Action):
    """Two numbers as the tuple that `Experiment` holds."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, tuple(values))


def _data(text: str) -> str:
    return str(as_path(text).absolute())
