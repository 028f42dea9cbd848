"""The command line of `experiments/make_pretrained.py`."""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path, named
from knee_attention.errors import InputError
from knee_attention.files import make_folder
from knee_attention.limits import CROPS
from knee_attention.networks.files.location import DEFAULT, FOLDER
from knee_attention.startup import command_line, start_keras


def main(arguments: list[str] | None = None, answers: Path | None = None) -> None:
    """Write a pretrained model, or the checklists of its card, and print the card.

    Args:
        arguments: the command line without the program name (default: that of the process).
        answers: the template of the answers to the checklists, for `--from`.
    """
    parser = argparse.ArgumentParser(
        description="Make the model that ships with the package from a finished run on real knees: "
        "with float16 weights, calibrated on the run's validation split, and with a model card.",
    )
    parser.add_argument("run", type=as_path, metavar="RUN",
                        help="the folder of a finished run; with --from its name")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--about", metavar="TEXT",
                      help="make the model; TEXT is the training set with licence and citation, "
                      "for the model card")
    task.add_argument("--from", dest="published", type=as_path, metavar="DIR",
                      help="make no model; answer the reporting checklists in the card of the "
                      "model, with the figures of its run that is published in DIR")
    parser.add_argument("--name", type=named, default=DEFAULT,
                        help=f"the model's name (default: {DEFAULT})")
    parser.add_argument("--output", type=as_path, default=FOLDER, metavar="DIR",
                        help="the folder to write to (default: that in the package)")
    parser.add_argument("--crop", choices=("auto", *CROPS), default="auto",
                        help="with --about: what the knees show, if the run does not record it "
                        "(default: auto)")
    parser.add_argument("--data", type=named, metavar="DIR|FILE.h5",
                        help="with --from: also measure the focus of the run's knees in this data "
                        "set, and write focus.csv beside the published tables")
    options = parser.parse_args(arguments)
    with command_line("make_pretrained.py"):
        if options.data and not options.published:
            raise InputError("--data needs --from DIR; a model is made with the data of its run")
        if options.published and options.crop != "auto":
            raise InputError("--crop needs --about TEXT; with --from no model is made")
        if Path(options.name).name != options.name:
            raise InputError(f"--name {options.name}: expected a name without a folder")
        start_keras()
        if options.published:
            _answer(options, answers)
            return
        from knee_attention.runs.finished.release import make_pretrained

        make_folder(options.output)
        card = make_pretrained(
            options.run, options.name, options.about, options.output, options.crop
        )
        print(card)


def _answer(options: argparse.Namespace, answers: Path) -> None:
    from knee_attention.runs.finished.card_answers import answer_checklists, publish_focus

    if options.data:
        publish_focus(options.published, options.run.name, options.data)
    card = answer_checklists(
        options.output, options.name, options.published, options.run.name,
        answers.read_text(encoding="utf-8"),
    )  # fmt: skip
    print(card)
