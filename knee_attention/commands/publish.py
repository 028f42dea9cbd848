"""Keep what runs found: their options, machine, history, predictions and results, without weights.

Each run becomes a folder of its name in DIR, whole or not at all. Paths of this machine are cut
down to names and probabilities rounded to four digits. `run_table1.py --from DIR` makes the tables
from such folders alone.
"""

import argparse

from knee_attention.commands.arguments import as_path


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `publish`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", type=as_path,
                        help="folder of a finished run")
    parser.add_argument("--to", required=True, metavar="DIR", type=as_path,
                        help="where published runs are gathered, "
                        "such as experiments/results/<data set>")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace what was published under the same name before")


def run(options: argparse.Namespace) -> None:
    """Copy every run; the first that cannot be published ends the command."""
    from knee_attention.runs.finished.publishing import publish

    for folder in options.runs:
        print(publish(folder, options.to, options.overwrite))
