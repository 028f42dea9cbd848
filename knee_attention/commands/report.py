"""One HTML page over finished runs: tables, curves, masks, the worst mistakes as pictures.

The page is one file and asks no network. Several runs are shown side by side, the first compared
with each other one on the knees that both graded. It holds pictures of knees: with real
radiographs it is to be handled like them.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from knee_attention.commands.arguments import as_path, count
from knee_attention.errors import InputError
from knee_attention.files import written_whole

SUFFIXES = (".html", ".htm")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `report`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", type=as_path,
                        help="folder of a finished run")
    parser.add_argument("-o", "--output", type=as_path, default=Path("report.html"),
                        metavar="FILE.html", help="the page to write (default: report.html)")
    parser.add_argument("--mistakes", type=count, default=8, metavar="N",
                        help="show a run's N worst mistakes (default: 8)")


def run(options: argparse.Namespace) -> None:
    """Read the runs and write the page."""
    output = options.output
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{output}: the name of a page ends in .html")
    with _opened(output) as page:
        from knee_attention.startup import start_keras

        start_keras()
        from knee_attention.evidence.report.page import report_page
        from knee_attention.runs.finished.reporting import read_runs, with_mistakes

        runs = with_mistakes(read_runs(options.runs), options.mistakes)
        page.write(report_page(runs))
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    print(f"{output}: {count}, {output.stat().st_size / 1e6:.1f} MB")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A page that appears whole when the block ends; opened first, so that a folder that cannot
    be written to is found out before the work.
    """
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder")
    # A folder's name may hold bytes that are no text.
    with (
        written_whole(path) as beside,
        beside.open("w", encoding="utf-8", errors="xmlcharrefreplace") as page,
    ):
        yield page
