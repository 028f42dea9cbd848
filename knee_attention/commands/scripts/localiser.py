"""The command line of `experiments/run_localiser.py`."""

import argparse
import shutil
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number, rate, seed_number
from knee_attention.files import written_whole
from knee_attention.limits import BOX_KINDS
from knee_attention.runs.experiment import CHOICES
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.run_folder import RunFolder
from knee_attention.startup import command_line, start_keras


def main(arguments: list[str] | None = None) -> None:
    """Train the joint localiser as a command line asks; by default the process's own."""
    options = vars(_parser().parse_args(arguments))
    output, overwrite, install = (options.pop(name) for name in ("output", "overwrite", "install"))
    with command_line("run_localiser.py"):
        given = {name: tuple(value) if isinstance(value, list) else value
                 for name, value in options.items() if value is not None}
        asked = LocaliserRun(**given)
        start_keras()
        from knee_attention.films.localiser import SHIPPED
        from knee_attention.runs.localiser.run import run_localiser

        results = run_localiser(asked, output, overwrite)
        for name, numbers in results["held_out"].items():
            print(f"{name}: {_in_words(numbers)}")
        print(f"network, joints.csv and figures: {output}")
        if install:
            with written_whole(SHIPPED) as beside:
                shutil.copyfile(RunFolder(output).localiser, beside)
            print(f"installed: {SHIPPED}")


def _in_words(numbers: dict) -> str:
    if "crops" in numbers:
        return (f"{numbers['taken']} of {numbers['crops']} taken as crops, {numbers['refused']} "
                "refused")
    if "images" in numbers:
        return f"{numbers['refused']} of {numbers['images']} refused"
    said = (f"{100 * numbers['found']:.1f}% of {numbers['joints']} joints found, "
            f"{numbers['refused']} of {numbers['films']} films refused; Jaccard index median "
            f"{numbers['jaccard_median']:.3f}, {100 * numbers['jaccard_above_0.75']:.1f}% at 0.75 "
            "or above")
    if numbers["side_ratio_median"] is not None:
        said += (f"; crops {100 * (numbers['side_ratio_median'] - 1):+.1f}% in size (median), "
                 f"{100 * numbers['side_within_15%']:.1f}% within 15%")
    return said


def _absolute(text: str) -> str:
    return str(as_path(text).absolute())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train the joint localiser and measure it. Without data it draws synthetic "
        "films. The same command continues a killed training."
    )
    parser.add_argument("--data", metavar="DIR", nargs="+", action="extend", type=_absolute,
                        help="folders of films with known joints (default: synthetic films alone)")
    parser.add_argument("--boxes", metavar="FILE", nargs="+", action="extend", type=_absolute,
                        help="the boxes of each folder, in the same order: a CSV file with the "
                        "columns file, side, x1, y1, x2, y2 in pixels, and maybe split and "
                        "remark; or the public table of OAI films")
    parser.add_argument("--box-kind", choices=BOX_KINDS,
                        help="what the boxes of such a CSV file are: squares as the crops of the "
                        "public knee set, or the larger joint boxes of the public table "
                        f"(default: {LocaliserRun.box_kind})")
    parser.add_argument("--crops", metavar="DIR", type=_absolute,
                        help="a data folder of square crops of joints, such as the public set")
    parser.add_argument("--distractors", metavar="DIR", type=_absolute,
                        help="images that show no knee to be graded, at any depth; one in three "
                        "is kept to measure what is refused")
    parser.add_argument("--implants", metavar="DIR", type=_absolute,
                        help="the same of knees with a prosthesis or implant; it may lie within "
                        "--distractors")
    parser.add_argument("--output", type=as_path, metavar="DIR", default=Path("runs/localiser"),
                        help="folder of the results (default: runs/localiser)")
    parser.add_argument("--films", type=positive_number, metavar="N",
                        help=f"synthetic films to learn from (default: {LocaliserRun.films})")
    parser.add_argument("--epochs", type=positive_number, metavar="N",
                        help=f"(default: {LocaliserRun.epochs})")
    parser.add_argument("--steps", type=positive_number, metavar="N",
                        help=f"batches an epoch (default: {LocaliserRun.steps})")
    parser.add_argument("--batch-size", type=positive_number, metavar="N",
                        help=f"(default: {LocaliserRun.batch_size})")
    parser.add_argument("--learning-rate", type=rate, metavar="X",
                        help=f"of Adam, at the start (default: {LocaliserRun.learning_rate:g})")
    parser.add_argument("--precision", choices=CHOICES["precision"],
                        help="of training (default: auto)")
    parser.add_argument("--seed", type=seed_number, metavar="N", help="(default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="begin a finished run anew")
    parser.add_argument("--install", action="store_true",
                        help="put the network into this package")
    return parser
