"""The command line of `experiments/make_pretrained.py`."""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path, named
from knee_attention.errors import InputError
from knee_attention.limits import CROPS
from knee_attention.networks.files.shipped import DEFAULT, FOLDER
from knee_attention.startup import command_line, start_keras


def main(arguments: list[str] | None = None) -> None:
    """Write a pretrained model and print its card.

    Args:
        arguments: the command line without the program; by default the process's own.
    """
    parser = argparse.ArgumentParser(
        description="Make the model that ships with the package from a finished run on real knees: "
        "in half its size, calibrated on the run's validation split, with its card.",
    )
    parser.add_argument("run", type=as_path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--about", required=True, metavar="TEXT",
                        help="what its training set is, with licence and citation, for the card")
    parser.add_argument("--name", type=named, default=DEFAULT,
                        help=f"of the model (default: {DEFAULT})")
    parser.add_argument("--output", type=as_path, default=FOLDER, metavar="DIR",
                        help="the folder to write to (default: the package's own)")
    parser.add_argument("--crop", choices=("auto", *CROPS), default="auto",
                        help="what the knees show, where the run does not say it (default: auto)")
    options = parser.parse_args(arguments)
    with command_line("make_pretrained.py"):
        if Path(options.name).name != options.name:
            raise InputError(f"{options.name}: expected a name, without a folder")
        start_keras()
        from knee_attention.runs.finished.release import make_pretrained

        card = make_pretrained(
            options.run, options.name, options.about, options.output, options.crop
        )
        print(card)
