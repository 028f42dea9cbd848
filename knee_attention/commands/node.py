"""Run a DICOM node beside an archive: it receives films by C-STORE, grades them, and sends a
structured report and a Secondary Capture Image of each to the archive, in the film's study.

A sender gets its answer once the film is on disk. Films and reports wait in a folder, so nothing is
lost if the process ends or the archive is unreachable: the next node in that folder continues.
Objects that are not frontal knee radiographs are skipped, also the node's own. The log on stderr
names films by SOPInstanceUID and contains no patient names. DICOM has no passwords: every machine
that reaches the port can send films.
"""

import argparse
import logging
import re
import threading
import warnings
from pathlib import Path

from knee_attention.commands.arguments import (
    add_grading,
    add_grading_model,
    add_parametric_map,
    as_path,
    grader_of,
    named,
    positive_number,
)
from knee_attention.errors import InputError, how_to_install, missing_raises

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `node`."""
    add_grading_model(parser)
    parser.add_argument("--send-to", required=True, type=_archive, metavar="TITLE@HOST:PORT",
                        help="the archive that receives the reports")
    parser.add_argument("--ae-title", default="KNEEATT", type=_title, metavar="TITLE",
                        help="the node's AE title (default: KNEEATT)")
    parser.add_argument("--host", type=named, default="127.0.0.1", metavar="ADDRESS",
                        help="the address to listen on; 0.0.0.0 means all networks (default: "
                        "127.0.0.1)")
    parser.add_argument("--port", type=_port, default=11112, metavar="N",
                        help="the port to listen on (default: 11112)")
    parser.add_argument("--queue", type=as_path, default=Path("node"), metavar="DIR",
                        help="the folder in which films and reports wait (default: node)")
    parser.add_argument("--queue-limit", type=positive_number, default=1000, metavar="N",
                        help="maximum number of waiting films; further ones are refused "
                        "(default: 1000)")
    add_parametric_map(parser)
    add_grading(parser)


def run(options: argparse.Namespace) -> None:
    """Listen until interrupted."""
    not_installed = InputError("a node needs pynetdicom and highdicom: "
                               + how_to_install("dicom-out"))
    with missing_raises(not_installed, "pydicom", "pynetdicom", "highdicom"):
        from knee_attention.grading.dicom.algorithm import Algorithm
        from knee_attention.grading.node.archive import Archive
        from knee_attention.grading.node.node import Node
        from knee_attention.grading.node.spool import refuse_other_folder
    from knee_attention.grading.grader import RESEARCH_ONLY
    from knee_attention.runs.folder_lock import locked

    warnings.simplefilter("ignore")  # warnings about headers would quote patient data
    _log_to_stderr()
    log = logging.getLogger(__name__)
    grader = grader_of(options)
    if options.parametric_map:
        grader.check_masks_fit_boxes()
    algorithm = Algorithm.of(grader)
    archive = Archive(*options.send_to)
    refuse_other_folder(options.queue)
    with locked(options.queue):
        node = Node(
            grader, algorithm, archive, options.queue, options.ae_title, options.queue_limit,
            options.parametric_map,
        )  # fmt: skip
        node.start(options.host, options.port)
        log.info("%s listens on %s:%d, grades by %s, reports to %s. %s", options.ae_title,
                 options.host, options.port, algorithm.model, archive, RESEARCH_ONLY)
        if options.host not in LOOPBACK:
            log.warning("every machine that reaches %s:%d can send films: DICOM has no passwords",
                        options.host, options.port)
        try:
            threading.Event().wait()
        finally:
            node.stop()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("knee_attention")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _title(text: str) -> str:
    """An argparse type: an AE title (PS3.5 6.2), up to 16 ASCII characters without a backslash."""
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", text) or not text.strip():
        raise argparse.ArgumentTypeError(f"expected an AE title of 1 to 16 letters, not {text!r}")
    return text.strip()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, not {text!r}")
    return int(text)


def _archive(text: str) -> tuple[str, str, int]:
    title, at, address = text.partition("@")
    host, colon, port = address.rpartition(":")
    if not (title and at and host and colon):
        raise argparse.ArgumentTypeError(f"expected TITLE@HOST:PORT, not {text!r}")
    return _title(title), host.strip("[]"), _port(port)
