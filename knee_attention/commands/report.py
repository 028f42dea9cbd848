"""Write one HTML page about finished runs: tables, learning curves, attention, worst mistakes.

The page is one file and works offline. Several runs are shown side by side, and the first is
compared with all others on the knees that both graded. The page contains pictures of knees:
treat it like the radiographs themselves.
"""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path, count
from knee_attention.errors import InputError
from knee_attention.files import written_whole

SUFFIXES = (".html", ".htm")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", type=as_path,
                        help="folder of a finished run")
    parser.add_argument("-o", "--output", type=as_path, default=Path("report.html"),
                        metavar="FILE.html", help="the page to write (default: report.html)")
    parser.add_argument("--mistakes", type=count, default=8, metavar="N",
                        help="how many of a run's worst mistakes to show (default: 8)")


def run(options: argparse.Namespace) -> None:
    """Read the runs and write the page."""
    output = options.output
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{output}: the name of a page must end in .html")
    # The page is opened before the work, so a folder that cannot be written to is refused early.
    # A folder's name may contain bytes that are not valid text.
    with (
        written_whole(output) as beside,
        beside.open("w", encoding="utf-8", errors="xmlcharrefreplace") as page,
    ):
        from knee_attention.startup import start_keras

        start_keras()
        from knee_attention.evidence.report.page import report_page
        from knee_attention.runs.finished.reporting import read_runs, with_mistakes

        runs = with_mistakes(read_runs(options.runs), options.mistakes)
        page.write(report_page(runs))
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    print(f"{output}: {count}, {output.stat().st_size / 1e6:.1f} MB")
