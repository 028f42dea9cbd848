"""The command line of `experiments/run_localiser.py`."""

import argparse
import shutil
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import written_whole
from knee_attention.options import as_path, positive_number, rate, seed_number
from knee_attention.runs.experiment import CHOICES
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.run_folder import Run
from knee_attention.startup import command_line, start_keras


def main(arguments: list[str] | None = None) -> None:
    """Train the joint localiser as a command line asks; by default the process's own."""
    options = vars(_parser().parse_args(arguments))
    output, overwrite, install = (options.pop(name) for name in ("output", "overwrite", "install"))
    with command_line("run_localiser.py"):
        if install and options["data"]:
            raise InputError("--install takes a localiser of phantoms: one that learnt from films "
                             "of patients is not the package's to give away")
        if options["films"] and options["data"]:
            raise InputError("--films draws phantoms, and --data has films of its own; leave one "
                             "out")
        start_keras()
        from knee_attention.films.joints import THRESHOLD
        from knee_attention.films.localiser import SHIPPED
        from knee_attention.runs.localiser.run import run_localiser

        given = {name: value for name, value in options.items() if value is not None}
        results = run_localiser(LocaliserRun(**given), output, overwrite)
        print(_told(results, THRESHOLD))
        print(f"network, joints.csv and figures: {output}")
        if install:
            with written_whole(SHIPPED) as beside:
                shutil.copyfile(Run(output).localiser, beside)
            print(f"installed: {SHIPPED}")


def _told(results: dict, threshold: float) -> str:
    test = results["test"]
    origin = "phantom films" if results["synthetic"] else "films"
    told = (f"{results['films']} {origin} of the test, {test['joints']} joints: {test['found']} "
            f"found (score {threshold:g} or more); Jaccard index mean {test['jaccard_mean']:.3f}, "
            f"median {test['jaccard_median']:.3f}, lowest {test['jaccard_lowest']:.3f}; "
            f"{100 * test['jaccard_above_0.75']:.1f}% at 0.75 or above")
    if test["found"]:
        told += (f"; centres {100 * test['centre_off_mean']:.1f}% of a side apart, lowest score "
                 f"{test['score_lowest']:.2f}")
    return told


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train the joint localiser and measure it. Without --data it draws synthetic "
        "films. The same command goes on where a killed one stopped."
    )
    parser.add_argument("--data", metavar="DIR", help="films of both knees (default: synthetic)",
                        type=lambda text: str(as_path(text).absolute()))
    parser.add_argument("--boxes", metavar="FILE", type=lambda text: str(as_path(text).absolute()),
                        help="their joint boxes: a CSV file with the columns file, side, x1, y1, "
                        "x2, y2 in pixels, or the public table of OAI films")
    parser.add_argument("--output", type=as_path, metavar="DIR", default=Path("runs/localiser"),
                        help="folder of the results (default: runs/localiser)")
    parser.add_argument("--films", type=positive_number, metavar="N",
                        help=f"phantoms to learn from (default: {LocaliserRun.films})")
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
