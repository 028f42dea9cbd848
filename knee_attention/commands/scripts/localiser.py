"""The command line of `experiments/run_localiser.py`."""

import argparse
import shutil
from pathlib import Path

from knee_attention.commands.arguments import (
    absolute_path,
    as_path,
    positive_number,
    rate,
    seed_number,
)
from knee_attention.files import written_whole
from knee_attention.limits import BOX_KINDS
from knee_attention.runs.experiment import CHOICES
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.run_folder import RunFolder
from knee_attention.startup import command_line, start_keras


def main(arguments: list[str] | None = None) -> None:
    """Train the joint localiser as a command line asks (default: that of the process)."""
    options = vars(_parser().parse_args(arguments))
    output, overwrite, install = (options.pop(name) for name in ("output", "overwrite", "install"))
    with command_line("run_localiser.py", resumable=True):
        given = {name: tuple(value) if isinstance(value, list) else value
                 for name, value in options.items() if value is not None}
        localiser_run = LocaliserRun(**given)
        start_keras()
        from knee_attention.films.localiser import SHIPPED
        from knee_attention.runs.localiser.run import run_localiser

        results = run_localiser(localiser_run, output, overwrite)
        for name, numbers in results["held_out"].items():
            print(f"{name}: {_in_words(numbers)}")
        print(f"network, joints.csv and figures: {output}")
        if install:
            with written_whole(SHIPPED) as beside:
                shutil.copyfile(RunFolder(output).localiser, beside)
            print(f"installed: {SHIPPED}")


def _in_words(numbers: dict) -> str:
    if "crops" in numbers:
        return (f"{numbers['taken']} of {numbers['crops']} accepted as crops, "
                f"{numbers['refused']} refused")
    if "images" in numbers:
        return f"{numbers['refused']} of {numbers['images']} refused"
    text = (f"{100 * numbers['found']:.1f}% of {numbers['joints']} joints found, "
            f"{numbers['refused']} of {numbers['films']} films refused; Jaccard index median "
            f"{numbers['jaccard_median']:.3f}, {100 * numbers['jaccard_above_0.75']:.1f}% at 0.75 "
            "or above")
    if numbers["side_ratio_median"] is not None:
        text += (f"; crops {100 * (numbers['side_ratio_median'] - 1):+.1f}% in size (median), "
                 f"{100 * numbers['side_within_15%']:.1f}% within 15%")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train the joint localiser and measure it. Without data it draws synthetic "
        "films. The same command resumes a killed training."
    )
    parser.add_argument("--data", metavar="DIR", nargs="+", action="extend", type=absolute_path,
                        help="folders of films with known joints (default: synthetic films only)")
    parser.add_argument("--boxes", metavar="FILE", nargs="+", action="extend", type=absolute_path,
                        help="the boxes of each folder, in the same order: a CSV file with the "
                        "columns file, side, x1, y1, x2, y2 in pixels, and optionally split and "
                        "remark; or the public table of OAI films")
    parser.add_argument("--box-kind", choices=BOX_KINDS,
                        help="what the boxes of the CSV files enclose: squares like the crops of "
                        "the public knee set, or the larger joint boxes of the public table "
                        f"(default: {LocaliserRun.box_kind})")
    parser.add_argument("--crops", metavar="DIR", type=absolute_path,
                        help="a data folder of square crops of joints, such as the public set")
    parser.add_argument("--distractors", metavar="DIR", type=absolute_path,
                        help="images without a knee to grade, in a folder and its subfolders; one "
                        "third is held out to measure how many are refused")
    parser.add_argument("--implants", metavar="DIR", type=absolute_path,
                        help="images of knees with a prosthesis or implant, which are distractors "
                        "too; the folder may lie within --distractors")
    parser.add_argument("--output", type=as_path, metavar="DIR", default=Path("runs/localiser"),
                        help="folder of the results (default: runs/localiser)")
    parser.add_argument("--films", type=positive_number, metavar="N",
                        help=f"synthetic training films (default: {LocaliserRun.films})")
    parser.add_argument("--epochs", type=positive_number, metavar="N",
                        help=f"number of epochs (default: {LocaliserRun.epochs})")
    parser.add_argument("--steps", type=positive_number, metavar="N",
                        help=f"batches per epoch (default: {LocaliserRun.steps})")
    parser.add_argument("--batch-size", type=positive_number, metavar="N",
                        help=f"films per batch (default: {LocaliserRun.batch_size})")
    parser.add_argument("--learning-rate", type=rate, metavar="X",
                        help="initial learning rate of Adam (default: "
                        f"{LocaliserRun.learning_rate:g})")
    parser.add_argument("--precision", choices=CHOICES["precision"],
                        help="precision of training (default: auto)")
    parser.add_argument("--seed", type=seed_number, metavar="N",
                        help="random seed (default: 0)")
    parser.add_argument("--overwrite", action="store_true",
                        help="train from the start, even if the run is unfinished; leave it out "
                        "to resume")
    parser.add_argument("--install", action="store_true",
                        help="copy the network into this package")
    return parser
