"""Grade films of both knees, single knees, or folders of them, with a saved model.

Images may be PNG, JPEG, WebP, TIFF, BMP or DICOM, of 8 or 16 bits. What cannot be graded is said
and the rest goes on; the exit code is 2 only if nothing could be graded. KL is the most probable
grade, P0 to P4 are the probabilities of the grades by the branch that validation chose, expected is
the mean grade under them, P(KL>=2) the probability of radiographic osteoarthritis. Likeness, -1 to
1, is that to the knees which the model learnt from; "unlike" marks a knee with less than is usual.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from knee_attention.commands.arguments import add_crop, add_polarity, as_path, positive_number
from knee_attention.errors import ImageError, InputError, missing_raises
from knee_attention.files import (
    TableWriter,
    keep_inputs,
    make_folder,
    open_table,
    written_whole,
)
from knee_attention.limits import VIEWS
from knee_attention.networks.files.shipped import DEFAULT


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `grade`."""
    parser.add_argument("images", nargs="+", metavar="FILE|DIR", help="films, knees, or folders")
    parser.add_argument("--model", default=Path(DEFAULT), type=as_path, metavar="FILE",
                        help="an .h5, .keras or .onnx file, the folder of a run, or a model that "
                        f"ships with the package (default: {DEFAULT})")
    parser.add_argument("--csv", type=as_path, metavar="FILE",
                        help="also write every output's probabilities to a table; a name that "
                        "a spreadsheet would run as a formula gets an apostrophe")
    parser.add_argument("--overlay", type=as_path, metavar="DIR",
                        help="also draw every knee with the chosen branch's attention")
    parser.add_argument("--dicom", type=as_path, metavar="DIR",
                        help="also report every DICOM film in its own study: a structured report "
                        "and a Secondary Capture Image")
    parser.add_argument("--json", action="store_true",
                        help="print one JSON object a knee and line instead of the table")
    parser.add_argument("--view", choices=VIEWS, default="auto",
                        help="what the images show; crop: joints that are cut out already "
                        "(default: auto, which finds out)")
    add_polarity(parser)
    add_crop(parser)
    parser.add_argument("--batch-size", type=positive_number, default=32, metavar="N",
                        help="knees graded at once (default: 32)")


def run(options: argparse.Namespace) -> None:
    """Grade every image, print a line a knee, and write what else is asked for."""
    if options.csv and options.csv.is_dir():
        raise InputError(f"{options.csv} cannot be written: it is a folder")
    if options.csv and options.csv.suffix.lower() != ".csv":
        raise InputError(f"{options.csv}: the name of a table ends in .csv")
    from tqdm import tqdm

    from knee_attention.films.image_files import write_picture
    from knee_attention.films.inputs import files_to_open
    from knee_attention.grading.grader import RESEARCH_ONLY, load_grader
    from knee_attention.grading.rows import SIDES, columns, film_picture, knee_row
    from knee_attention.startup import start_for

    files = files_to_open(options.images)
    pictures = _named_after(files, options.overlay, ".png") if options.overlay else []
    reports = _report_files(files, options.dicom) if options.dicom else []
    written = [*pictures, *(file for pair in reports for file in pair)]
    keep_inputs(files, [*written, options.csv] if options.csv else written)
    _refuse_other_images(pictures)
    start_for(options.model)
    grader = load_grader(options.model, options.polarity, options.crop)
    report_files = _reporting(grader, options) if reports else None
    synthetic = bool(grader.description.get("synthetic"))
    with ExitStack() as stack:
        write = _nowhere
        if options.csv:
            write = stack.enter_context(_table(options.csv, columns(grader.outputs)))
        if pictures:
            make_folder(options.overlay)
        if reports:
            make_folder(options.dicom)
        print(_heading(grader, options.model), file=sys.stderr)
        if not options.json:
            print(_TITLES)
        failed = turned = unreported = 0
        progress = stack.enter_context(tqdm(total=len(files), desc="grading", disable=None))
        graded = grader.grade_all(files, options.view, options.batch_size)
        for position, (file, knees) in enumerate(graded):
            progress.update()
            if isinstance(knees, ImageError):
                failed += 1
                progress.write(f"not graded: {knees}", file=sys.stderr)
                write({"file": str(file), "error": knees.reason})
                continue
            if any(knee.turned for knee in knees):
                turned += 1
                progress.write(f"{file}: a photographic negative, turned", file=sys.stderr)
            if knees[0].frame:
                progress.write(f"{file}: a border of one grey (columns and rows at the left, top, "
                               f"right and bottom: {knees[0].frame.pixels}) was taken off before "
                               "grading", file=sys.stderr)
            aspect = knees[0].pixel_aspect
            if aspect != 1:
                progress.write(f"{file}: its pixels are not square (height {aspect:.3g} of the "
                               "width), made square before grading", file=sys.stderr)
            for knee in knees:
                row = knee_row(str(file), knee, synthetic)
                shown = json.dumps(row) if options.json else _line(row)
                progress.write(shown, file=sys.stdout)
                write(row)
                if knee.unlike:
                    progress.write(f"{file}: its {SIDES[knee.side]} is unlike those that the model "
                                   f"learnt from (likeness {knee.likeness:.2f})", file=sys.stderr)
            if pictures:
                write_picture(pictures[position], film_picture(knees, synthetic))
            if reports:
                try:
                    report_files.write(file, knees, *reports[position])
                except ImageError as error:
                    unreported += 1
                    progress.write(f"not reported: {error}", file=sys.stderr)
    remarks = sys.stderr if options.json else sys.stdout
    if options.csv:
        print(f"every probability: {options.csv}", file=remarks)
    if options.overlay:
        print(f"pictures: {options.overlay}", file=remarks)
    if options.dicom and unreported < len(files) - failed:
        print(f"DICOM reports: {options.dicom}", file=remarks)
    if turned:
        print(f"photographic negatives, turned before grading: {turned} of {len(files)} files",
              file=remarks)
    print(RESEARCH_ONLY, file=remarks)
    if failed:
        print(f"{failed} of {len(files)} files could not be graded", file=sys.stderr)
    if failed == len(files):
        raise InputError("nothing could be graded")
    if unreported == len(files) - failed:
        raise InputError("no film could be reported")


def _nowhere(row: dict) -> None:
    """Where rows go without `--csv`."""


def _heading(grader, model: Path) -> str:
    known = grader.description
    height, width = grader.image_size
    trained = ", trained on synthetic phantoms" if known.get("synthetic") else ""
    name = known.get("name") or model.name
    return f"{name}, grades by {grader.chosen}, {height}x{width}{trained}"


_TITLES = f"{'file':36} side  KL    P0   P1   P2   P3   P4  expected  P(KL>=2)  likeness"


def _line(row: dict) -> str:
    """A knee as a person reads it."""
    file = row["file"] if len(row["file"]) <= 36 else "..." + row["file"][-33:]
    chosen = row["chosen"]
    shares = "".join(f"{row[f'{chosen}_p{grade}']:5.2f}" for grade in range(5))
    likeness = "-" if row["likeness"] is None else f"{row['likeness']:.2f}"
    unlike = " unlike" if row["unlike"] else ""
    return (f"{file:36} {row['side'] or '-':4} {row['grade']:3}  {shares}"
            f"{row['expected_grade']:10.2f}{row['oa_probability']:10.2f}{likeness:>9}{unlike}")


@contextmanager
def _table(path: Path, columns: list[str]) -> Iterator[Callable[[dict], object]]:
    """A CSV file that takes rows and appears whole when all are there."""
    with ExitStack() as stack:
        beside = stack.enter_context(written_whole(path))
        file = stack.enter_context(open_table(beside))
        writer = TableWriter(file, columns)
        writer.writeheader()
        yield writer.writerow


def _named_after(files: list[Path], folder: Path, suffix: str) -> list[Path]:
    """A file in a folder for every file; of files of one name the further ones get a number."""
    from knee_attention.films.file_kinds import DICOM_SUFFIXES
    from knee_attention.films.image_files import IMAGE_SUFFIXES

    taken = {}
    for file in files:
        # A DICOM file is often named by its UID, whose last number is no suffix.
        known = file.suffix.lower() in IMAGE_SUFFIXES | DICOM_SUFFIXES
        stem = file.stem if known else file.name
        name, times = stem, 1
        while name in taken:
            times += 1
            name = f"{stem}-{times}"
        taken[name] = folder / f"{name}{suffix}"
    return list(taken.values())


def _refuse_other_images(pictures: list[Path]) -> None:
    """Keep pictures from replacing images that are none, such as films beside those graded."""
    from knee_attention.films.image_files import is_picture

    for path in pictures:
        if path.exists() and not is_picture(path):
            raise InputError(f"{path}: is there and no picture of an earlier grading; choose "
                             "another --overlay")


def _report_files(files: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Where each film's structured report and its Secondary Capture Image go.

    Raises:
        InputError: an image is no DICOM file.
    """
    from knee_attention.films.inputs import REPORT_SUFFIXES, is_dicom

    other = next((file for file in files if file.is_file() and not is_dicom(file)), None)
    if other:
        raise InputError(f"{other}: no DICOM file, so there is no patient and no study to report "
                         "it under; leave out --dicom, or give DICOM files alone")
    return list(zip(*(_named_after(files, folder, suffix) for suffix in REPORT_SUFFIXES),
                    strict=True))


def _reporting(grader, options: argparse.Namespace):
    lacking = InputError('--dicom needs highdicom: pip install "knee_attention[dicom-out]"')
    with missing_raises(lacking, "pydicom", "highdicom"):
        from knee_attention.grading.dicom.algorithm import Algorithm
        from knee_attention.grading.dicom.reports import ReportFiles
    return ReportFiles(Algorithm.of(grader, options.view))
