"""Grade films of both knees, single knees, or folders of them, with a saved model.

Images may be PNG, JPEG, WebP, TIFF, BMP or DICOM, of 8 or 16 bits. Images that cannot be graded are
reported and skipped; the exit code is 2 only if no image is graded. KL is the most probable grade.
P0 to P4 are the probabilities of the grades by the branch that validation chose, "expected" is
their mean grade, and P(KL>=2) the probability of radiographic osteoarthritis. "likeness" is the
correlation with the mean training knee, -1 to 1; "unlike" marks a knee below the usual range.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from knee_attention.commands.arguments import (
    add_crop,
    add_polarity,
    as_path,
    grading_model,
    positive_number,
)
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
    """Add the options of `grade`."""
    parser.add_argument("images", nargs="+", metavar="FILE|DIR", help="films, knees, or folders")
    parser.add_argument("--model", default=DEFAULT, type=grading_model, metavar="FILE",
                        help="an .h5, .keras or .onnx file, the folder of a run, or a model that "
                        f"ships with the package (default: {DEFAULT})")
    parser.add_argument("--csv", type=as_path, metavar="FILE",
                        help="also write the probabilities by every output to a CSV file; names "
                        "that a spreadsheet would run as formulas get an apostrophe")
    parser.add_argument("--overlay", type=as_path, metavar="DIR",
                        help="also draw every knee with the chosen branch's attention")
    parser.add_argument("--dicom", type=as_path, metavar="DIR",
                        help="also write a structured report and a Secondary Capture Image for "
                        "every DICOM film, in the film's study")
    parser.add_argument("--json", action="store_true",
                        help="print one JSON object per knee and line instead of the table")
    parser.add_argument("--view", choices=VIEWS, default="auto",
                        help="what the images show: both knees (bilateral), one knee (single), or "
                        "a crop of the joint (default: auto, detected)")
    add_polarity(parser)
    add_crop(parser)
    parser.add_argument("--batch-size", type=positive_number, default=32, metavar="N",
                        help="knees per batch (default: 32)")


def run(options: argparse.Namespace) -> None:
    """Grade every image, print one line per knee, and write the files that the options name."""
    if options.csv and options.csv.is_dir():
        raise InputError(f"{options.csv} cannot be written: it is a folder")
    if options.csv and options.csv.suffix.lower() != ".csv":
        raise InputError(f"{options.csv}: the name of a table must end in .csv")
    from tqdm import tqdm

    from knee_attention.films.image_files import write_picture
    from knee_attention.films.inputs import files_to_open
    from knee_attention.grading.grader import RESEARCH_ONLY, load_grader
    from knee_attention.grading.rows import SIDES, columns, film_picture, knee_row
    from knee_attention.startup import start_for

    files = files_to_open(options.images)
    pictures = _output_files(files, options.overlay, ".png") if options.overlay else []
    reports = _report_files(files, options.dicom) if options.dicom else []
    written = [*pictures, *(file for pair in reports for file in pair)]
    keep_inputs(files, [*written, options.csv] if options.csv else written)
    _refuse_other_images(pictures)
    start_for(options.model)
    grader = load_grader(options.model, options.polarity, options.crop)
    report_files = _report_writer(grader, options) if reports else None
    synthetic = bool(grader.description.get("synthetic"))
    with ExitStack() as stack:
        write = _write_nothing
        if options.csv:
            write = stack.enter_context(_table(options.csv, columns(grader.outputs)))
        if pictures:
            make_folder(options.overlay)
        if reports:
            make_folder(options.dicom)
        print(_heading(grader, options.model), file=sys.stderr)
        if not options.json:
            print(_TITLES)
        failed = inverted = unreported = 0
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
                inverted += 1
                progress.write(f"{file}: a photographic negative, inverted", file=sys.stderr)
            if knees[0].frame:
                progress.write(f"{file}: cropped off a uniform border (pixels at the left, top, "
                               f"right and bottom: {knees[0].frame.pixels})", file=sys.stderr)
            aspect = knees[0].pixel_aspect
            if aspect != 1:
                progress.write(f"{file}: the pixels are not square (height {aspect:.3g} of the "
                               "width); resampled", file=sys.stderr)
            for knee in knees:
                row = knee_row(str(file), knee, synthetic)
                shown = json.dumps(row) if options.json else _line(row)
                progress.write(shown, file=sys.stdout)
                write(row)
                if knee.unlike:
                    progress.write(f"{file}: the {SIDES[knee.side]} is unlike the training knees "
                                   f"(likeness {knee.likeness:.2f})", file=sys.stderr)
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
        print(f"probabilities by every output: {options.csv}", file=remarks)
    if options.overlay:
        print(f"pictures: {options.overlay}", file=remarks)
    if options.dicom and unreported < len(files) - failed:
        print(f"DICOM reports: {options.dicom}", file=remarks)
    if inverted:
        print(f"inverted photographic negatives: {inverted} of {len(files)} files", file=remarks)
    print(RESEARCH_ONLY, file=remarks)
    if failed:
        print(f"{failed} of {len(files)} files could not be graded", file=sys.stderr)
    if failed == len(files):
        raise InputError("no file could be graded")
    if unreported == len(files) - failed:
        raise InputError("no film could be reported")


def _write_nothing(row: dict) -> None:
    """Takes the rows if there is no `--csv`."""


def _heading(grader, model: Path) -> str:
    description = grader.description
    height, width = grader.image_size
    trained = ", trained on synthetic phantoms" if description.get("synthetic") else ""
    name = description.get("name") or model.name
    return f"{name}, grades by {grader.chosen}, {height}x{width}{trained}"


_TITLES = f"{'file':36} side  KL    P0   P1   P2   P3   P4  expected  P(KL>=2)  likeness"


def _line(row: dict) -> str:
    """A row of `knee_row` as a line of the printed table."""
    file = row["file"] if len(row["file"]) <= 36 else "..." + row["file"][-33:]
    chosen = row["chosen"]
    probabilities = "".join(f"{row[f'{chosen}_p{grade}']:5.2f}" for grade in range(5))
    likeness = "-" if row["likeness"] is None else f"{row['likeness']:.2f}"
    unlike = " unlike" if row["unlike"] else ""
    return (f"{file:36} {row['side'] or '-':4} {row['grade']:3}  {probabilities}"
            f"{row['expected_grade']:10.2f}{row['oa_probability']:10.2f}{likeness:>9}{unlike}")


@contextmanager
def _table(path: Path, columns: list[str]) -> Iterator[Callable[[dict], object]]:
    """Open a CSV file for rows; it appears when the block ends."""
    with ExitStack() as stack:
        beside = stack.enter_context(written_whole(path))
        file = stack.enter_context(open_table(beside))
        writer = TableWriter(file, columns)
        writer.writeheader()
        yield writer.writerow


def _output_files(files: list[Path], folder: Path, suffix: str) -> list[Path]:
    """An output file for every file, of the same name; a number tells equal names apart."""
    from knee_attention.films.file_kinds import DICOM_SUFFIXES
    from knee_attention.films.image_files import IMAGE_SUFFIXES

    taken = {}
    for file in files:
        # The name of a DICOM file is often its UID, whose last number is not a suffix.
        is_suffix = file.suffix.lower() in IMAGE_SUFFIXES | DICOM_SUFFIXES
        stem = file.stem if is_suffix else file.name
        name, times = stem, 1
        while name in taken:
            times += 1
            name = f"{stem}-{times}"
        taken[name] = folder / f"{name}{suffix}"
    return list(taken.values())


def _refuse_other_images(pictures: list[Path]) -> None:
    """Refuse to overwrite images that are not pictures of an earlier grading, such as films."""
    from knee_attention.films.image_files import is_picture

    for path in pictures:
        if path.exists() and not is_picture(path):
            raise InputError(f"{path}: exists and is not a picture of an earlier grading; choose "
                             "another --overlay")


def _report_files(files: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """The files of each film's structured report and Secondary Capture Image.

    Raises:
        InputError: an image is not a DICOM file.
    """
    from knee_attention.films.inputs import REPORT_SUFFIXES, is_dicom

    other = next((file for file in files if file.is_file() and not is_dicom(file)), None)
    if other:
        raise InputError(f"{other}: not a DICOM file, so it names no patient and study for a "
                         "report; leave out --dicom, or give only DICOM files")
    return list(zip(*(_output_files(files, folder, suffix) for suffix in REPORT_SUFFIXES),
                    strict=True))


def _report_writer(grader, options: argparse.Namespace):
    not_installed = InputError('--dicom needs highdicom: pip install "knee_attention[dicom-out]"')
    with missing_raises(not_installed, "pydicom", "highdicom"):
        from knee_attention.grading.dicom.algorithm import Algorithm
        from knee_attention.grading.dicom.reports import ReportFiles
    return ReportFiles(Algorithm.of(grader, options.view))
