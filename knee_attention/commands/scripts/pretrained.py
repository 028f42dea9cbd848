"""The command line of `experiments/make_pretrained.py`."""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path, named
from knee_attention.errors import InputError
from knee_attention.limits import CROPS
from knee_attention.networks.files.location import DEFAULT, FOLDER
from knee_attention.startup import command_line, start_keras


def main(arguments: list[str] | None = None) -> None:
    """Write a pretrained model and print its model card.

    Args:
        arguments: the command line without the program name (default: that of the process).
    """
    parser = argparse.ArgumentParser(
        description="Make the model that ships with the package from a finished run on real knees: "
        "with float16 weights, calibrated on the run's validation split, and with a model card.",
    )
    parser.add_argument("run", type=as_path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--about", required=True, metavar="TEXT",
                        help="the training set with licence and citation, for the model card")
    parser.add_argument("--name", type=named, default=DEFAULT,
                        help=f"the model's name (default: {DEFAULT})")
    parser.add_argument("--output", type=as_path, default=FOLDER, metavar="DIR",
                        help="the folder to write to (default: that in the package)")
    parser.add_argument("--crop", choices=("auto", *CROPS), default="auto",
                        help="what the knees show, if the run does not record it (default: auto)")
    options = parser.parse_args(arguments)
    with command_line("make_pretrained.py"):
        if Path(options.name).name != options.name:
            raise InputError(f"--name {options.name}: expected a name without a folder")
        start_keras()
        from knee_attention.runs.finished.release import make_pretrained

        card = make_pretrained(
            options.run, options.name, options.about, options.output, options.crop
        )
        print(card)
