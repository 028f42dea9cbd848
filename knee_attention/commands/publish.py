"""Add the results of finished runs, without their weights, to the tables of a data set.

DIR holds CSV files with the options, environments, histories, metrics and predictions of all
published runs; experiments/findings.py writes a README about them. A run is published completely or
not at all. Only the last part of each path is published; probabilities are rounded to four digits.
`run_table1.py --from DIR` computes the tables from DIR alone.
"""

import argparse

from knee_attention.commands.arguments import as_path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `publish`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", type=as_path,
                        help="folder of a finished run")
    parser.add_argument("--to", required=True, metavar="DIR", type=as_path,
                        help="folder of the published runs of one data set, such as "
                        "experiments/results/<data set>")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace published runs with the same names")


def run(options: argparse.Namespace) -> None:
    """Publish every run; an error ends the command."""
    from knee_attention.runs.finished.publishing import publish

    for folder in options.runs:
        changed = publish(folder, options.to, options.overwrite)
        print(f"{folder}: published in {options.to}" if changed else
              f"{folder}: already published in {options.to}")  # fmt: skip
