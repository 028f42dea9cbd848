"""The `knee-attention` command: one subcommand a file of `knee_attention.commands`."""

import argparse
import importlib

from knee_attention.startup import command_line

COMMANDS = {
    "grade": "grade films, knees or folders of them with a saved model",
    "serve": "a page in the browser, and a REST API, to grade films with a saved model",
    "info": "what a saved model is, and how it was trained",
    "evaluate": "measure a saved model on a data set",
    "report": "one HTML page over finished runs",
    "publish": "keep what runs found beside the code, without their weights",
    "export": "write a saved model as ONNX",
    "node": "a DICOM node that grades what an archive sends it, and sends reports back",
    "import-legacy": "bring a file of the original Keras 2 code into this project",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the subcommand that the command line names.

    Args:
        arguments: the command line without the program; by default the process's own.
    """
    with command_line("knee-attention"):  # from the first moment on: Ctrl-C is no traceback
        options = _options(arguments)
        with command_line(f"knee-attention {options.command}"):
            options.run(options)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="knee-attention",
        description="Kellgren-Lawrence grades from knee radiographs. Research use only, not a "
        "medical device.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        module = importlib.import_module(f"knee_attention.commands.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=purpose, description=module.__doc__)
        module.add_options(subparser)
        subparser.set_defaults(run=module.run)
    return parser.parse_args(arguments)

