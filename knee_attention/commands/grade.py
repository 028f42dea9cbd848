"""Grade films of both knees, single knees, or folders of them, with a saved model.

Images may be PNG, JPEG, WebP, TIFF, BMP or DICOM, of 8 or 16 bits. Images that cannot be graded are
reported and skipped. The exit code is 2 if no image is graded, or if `--dicom` reports none.

KL is the grade by the rule of `--decide`, and in brackets the prediction set: the range that holds
the true grade of 90% of the knees (`--coverage`), if they are like the knees of the model's
calibration. P0 to P4 are the probabilities of the grades by the branch that validation chose,
"mean" is their mean grade, and P(KL>=2) the probability of radiographic osteoarthritis; if it and
the grade disagree, the line says between which grades the knee is. "likeness" is the correlation
with the mean training knee, -1 to 1; "unlike" marks a knee below the usual range. "look again"
marks an unlike knee and a set of three grades or more.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from knee_attention.commands.arguments import (
    add_grading,
    add_parametric_map,
    as_path,
    grader_of,
    grading_model,
    positive_number,
)
from knee_attention.errors import ImageError, InputError, how_to_install, missing_raises
from knee_attention.files import (
    TableWriter,
    make_folder,
    open_table,
    written_whole,
)
from knee_attention.limits import VIEWS
from knee_attention.networks.files.location import DEFAULT


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `grade`."""
    parser.add_argument("images", nargs="+", metavar="FILE|DIR", help="films, knees, or folders")
    parser.add_argument("--model", default=DEFAULT, type=grading_model, metavar="FILE",
                        help="an .h5, .keras or .onnx file, the folder of a run, or a model that "
                        f"ships with the package (default: {DEFAULT})")
    parser.add_argument("--csv", type=as_path, metavar="FILE",
                        help="also write the probabilities by every output to a CSV file. Names "
                        "that a spreadsheet would run as formulas get an apostrophe. A stopped "
                        "command keeps its rows in a file .part.csv, but not with --sort uncertain")
    parser.add_argument("--overlay", type=as_path, metavar="DIR",
                        help="also draw every knee beside its attention by every branch")
    parser.add_argument("--branch", metavar="NAME",
                        help="draw the attention of this branch only, such as att0")
    parser.add_argument("--masks", type=as_path, metavar="DIR",
                        help="also write every knee's masks as .npy (0 to 1, at the branch's "
                        "resolution) and as PNG (at the knee's), and the knee as PNG")
    parser.add_argument("--dicom", type=as_path, metavar="DIR",
                        help="also write a structured report and a Secondary Capture Image for "
                        "every DICOM film, in the film's study")
    add_parametric_map(parser)
    parser.add_argument("--json", action="store_true",
                        help="print JSON Lines, one object per knee, instead of the table")
    parser.add_argument("--view", choices=VIEWS, default="auto",
                        help="what the images show: both knees (bilateral), one knee (single), or "
                        "a crop of the joint (default: auto, detected; a DICOM film whose header "
                        "states a lateral or axial view is then refused)")
    add_grading(parser)
    parser.add_argument("--sort", choices=("given", "uncertain"), default="given",
                        help="order of the knees; uncertain: those to look at again first, then "
                        "by rising probability of the grade (default: given)")
    parser.add_argument("--batch-size", type=positive_number, default=32, metavar="N",
                        help="knees per batch (default: 32)")


def run(options: argparse.Namespace) -> None:
    """Grade every image, print one line per knee, and write the files that the options name."""
    from tqdm import tqdm

    from knee_attention.commands.grade_results import Results, planned_files
    from knee_attention.films.inputs import files_to_open
    from knee_attention.grading.rows import LONGEST_NAME, columns, table_line, table_titles

    _refuse_options(options)
    files = files_to_open(options.images)
    planned = planned_files(files, options)
    grader = grader_of(options)
    if options.branch not in (None, *grader.branches):
        known = ", ".join(grader.branches) or "none"
        raise InputError(f"{options.model}: no branch {options.branch!r}; its branches: {known}")
    reporter = _report_writer(grader, options) if planned.reports else None
    with ExitStack() as stack:
        table = nullcontext(lambda row: None)
        if options.csv:
            # `uncertain` holds the rows back, so that a part would have none of them.
            keep_part = options.sort == "given"
            table = _table(options.csv, columns(grader.outputs), keep_part)
        write_row = stack.enter_context(table)
        for folder in filter(None, (options.overlay, options.masks, options.dicom)):
            make_folder(folder)
        print(_heading(grader, options.model), file=sys.stderr)
        width = min(LONGEST_NAME, max(len(str(file)) for file in files))
        if not options.json:
            print(table_titles(width))
        progress = stack.enter_context(tqdm(total=len(files), desc="grading", unit="film",
                                           disable=None))
        results = Results(
            options, planned, bool(grader.description.get("synthetic")), reporter, progress,
            json.dumps if options.json else partial(table_line, width=width), write_row,
        )  # fmt: skip
        graded = grader.grade_all(files, options.view, options.batch_size)
        for position, (file, knees) in enumerate(graded):
            progress.update()
            if isinstance(knees, ImageError):
                results.add_error(file, knees)
            else:
                results.add(position, file, knees)
        progress.close()
        results.show_held_back()
    results.print_summary(len(files))


def _refuse_options(options: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read."""
    if options.csv and options.csv.suffix.lower() != ".csv":
        raise InputError(f"{options.csv}: the name of a table must end in .csv")
    if options.csv and options.csv.is_dir():
        raise InputError(f"{options.csv} cannot be written: it is a folder")
    if options.parametric_map and not options.dicom:
        raise InputError("--parametric-map needs --dicom DIR")
    if options.branch and not options.overlay:
        raise InputError("--branch needs --overlay DIR")


def _heading(grader, model: Path) -> str:
    description = grader.description
    height, width = grader.image_size
    trained = ", trained on synthetic phantoms" if description.get("synthetic") else ""
    name = description.get("name") or model.name
    return f"{name}, grades by {grader.chosen}, {height}x{width}{trained}"


@contextmanager
def _table(
    path: Path, columns: list[str], keep_part: bool = True
) -> Iterator[Callable[[dict], object]]:
    """Open a CSV file for rows; it appears when the block ends.

    If the block ends early, the rows so far stay in a file `.part.csv`, unless `keep_part` is
    False.
    """
    part = path.with_suffix(".part.csv")
    with written_whole(path) as beside, open_table(beside) as file:
        writer = TableWriter(file, columns)
        writer.writeheader()
        header = file.tell()
        try:
            yield writer.writerow
        except BaseException as error:
            file.close()  # Windows does not rename an open file
            # After an OSError of this file, its last row is torn.
            whole = isinstance(error, BrokenPipeError) or not isinstance(error, OSError)
            if keep_part and whole and beside.stat().st_size > header:
                os.replace(beside, part)
                print(f"the rows so far: {part}", file=sys.stderr)
            raise
    part.unlink(missing_ok=True)  # of an earlier run


def _report_writer(grader, options: argparse.Namespace):
    not_installed = InputError(f"--dicom needs highdicom: {how_to_install('dicom-out')}")
    with missing_raises(not_installed, "pydicom", "highdicom"):
        from knee_attention.grading.dicom.algorithm import Algorithm
        from knee_attention.grading.dicom.reports import ReportFiles
    if options.parametric_map:
        grader.check_masks_fit_boxes()
    return ReportFiles(Algorithm.of(grader, options.view), options.parametric_map)
