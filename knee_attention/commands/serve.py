"""Grade films on a web page, or by a REST API.

The page loads nothing from other machines, and the server does not keep the films. Only this
machine can use it, unless `--host` gives another address.
"""

import argparse
from functools import partial

from knee_attention.commands.arguments import (
    add_grading,
    add_grading_model,
    count,
    grader_of,
    named,
    positive_number,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    add_grading_model(parser)
    parser.add_argument("--host", type=named, default="127.0.0.1", metavar="ADDRESS",
                        help="the address to listen on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", type=count, default=8000, metavar="N",
                        help="the port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument("--name", action="append", default=[], metavar="NAME",
                        help="a host name that clients may use besides the address, such as that "
                        "of a proxy; can be repeated")
    parser.add_argument("--most-mb", type=positive_number, default=64, metavar="N",
                        help="the largest film in MB; larger ones are refused (default: 64)")
    add_grading(parser)


def run(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from knee_attention.grading.web.server import serve

    most_bytes = options.most_mb * 1_000_000
    serve(partial(grader_of, options), options.host, options.port, options.name, most_bytes)
