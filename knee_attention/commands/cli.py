"""The `knee-attention` command; each subcommand is a module of `knee_attention.commands`."""

import argparse
import importlib
import sys

from knee_attention import __version__
from knee_attention.errors import InputError
from knee_attention.startup import command_line

COMMANDS = {
    "grade": "grade films or knees with a saved model",
    "serve": "grade films on a web page or by a REST API",
    "info": "show what a saved model is and how it was trained",
    "evaluate": "measure a saved model on a data set",
    "calibrate": "fit a model's calibration to graded films of your own",
    "audit": "measure where attention looks, whether it depends on the image, and whether "
             "it matters",
    "robustness": "measure what a model loses when its knees are corrupted",
    "report": "write one HTML page about finished runs",
    "publish": "add finished runs to a set of published results, without weights",
    "export": "write a saved model as ONNX",
    "node": "run a DICOM node: films from an archive in, reports back to it",
    "import-legacy": "import a model file of the original Keras 2 code",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a subcommand.

    Args:
        arguments: the command line without the program name (default: that of the process).
    """
    with command_line("knee-attention"):  # also while the command's modules are imported
        options = _options(arguments)
        with command_line(f"knee-attention {options.command}"):
            for module in options.modules:
                _import(module)
            options.run(options)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="knee-attention",
        description="Kellgren-Lawrence grades from knee radiographs. Research use only, not a "
        "medical device.",
    )
    parser.add_argument("--version", action="version", version=__version__,
                        help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        module = importlib.import_module(f"knee_attention.commands.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=purpose, description=module.__doc__)
        module.add_options(subparser)
        subparser.add_argument("--import", dest="modules", metavar="MODULE", action="append",
                               default=[], help="import a Python module first, such as one that "
                               "adds a backbone to BACKBONES; it is installed or in the working "
                               "directory")
        subparser.set_defaults(run=module.run)
    return parser.parse_args(arguments)


def _import(module: str) -> None:
    """Import a module of the user, also from the working directory.

    Raises:
        InputError: there is no such module.
    """
    if "" not in sys.path:
        sys.path.append("")  # a console script does not look into the working directory
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise InputError(f"--import {module}: no module of this name is installed or in the "
                         "working directory") from None
