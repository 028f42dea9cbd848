"""Grade films of both knees, single knees, or folders of them, with a saved model.

Images may be PNG, JPEG, WebP, TIFF, BMP or DICOM, of 8 or 16 bits. Images that cannot be graded are
reported and skipped; the exit code is 2 only if no image is graded. KL is the grade by the rule of
`--decide`, and in brackets the prediction set: the range that holds the true grade of 90% of the
knees (`--coverage`), if they are like the knees of the model's calibration. P0 to P4 are the
probabilities of the grades by the branch that validation chose, "mean" is their mean grade, and
P(KL>=2) the probability of radiographic osteoarthritis; if it and the grade disagree, the line says
between which grades the knee is. "likeness" is the correlation with the mean training knee, -1 to
1; "unlike" marks a knee below the usual range. "look again" marks an unlike knee and a set of three
grades or more.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
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
    keep_inputs,
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
                        help="also write the probabilities by every output to a CSV file; names "
                        "that a spreadsheet would run as formulas get an apostrophe")
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
                        "a crop of the joint (default: auto, detected)")
    add_grading(parser)
    parser.add_argument("--sort", choices=("given", "uncertain"), default="given",
                        help="the order of the knees: as given, or those to look at again first, "
                        "and the least probable grades first (default: given)")
    parser.add_argument("--batch-size", type=positive_number, default=32, metavar="N",
                        help="knees per batch (default: 32)")


def run(options: argparse.Namespace) -> None:
    """Grade every image, print one line per knee, and write the files that the options name."""
    if options.csv and options.csv.suffix.lower() != ".csv":
        raise InputError(f"{options.csv}: the name of a table must end in .csv")
    if options.parametric_map and not options.dicom:
        raise InputError("--parametric-map needs --dicom DIR")
    from tqdm import tqdm

    from knee_attention.films.image_files import write_picture
    from knee_attention.films.inputs import files_to_open
    from knee_attention.grading.graded_knee import write_masks
    from knee_attention.grading.grader import RESEARCH_ONLY
    from knee_attention.grading.rows import (
        LONGEST_NAME,
        SIDES,
        columns,
        csv_row,
        film_picture,
        knee_row,
        table_line,
        table_titles,
        uncertainty_key,
    )

    files = files_to_open(options.images)
    stems = [path.name for path in output_files(files, Path(), "")]
    pictures = [options.overlay / f"{stem}.png" for stem in stems] if options.overlay else []
    reports = report_files(files, options.dicom, options.parametric_map) if options.dicom else []
    written = [*pictures, *(file for made in reports for file in made)]
    keep_inputs(files, [*written, options.csv] if options.csv else written)
    refuse_other_images(pictures, "--overlay")
    if options.masks:
        refuse_other_images(options.masks.glob("*.png"), "--masks")
    if options.csv and options.csv.is_dir():
        raise InputError(f"{options.csv} cannot be written: it is a folder")
    grader = grader_of(options)
    if options.branch not in (None, *grader.branches):
        known = ", ".join(grader.branches) or "none"
        raise InputError(f"{options.model}: no branch {options.branch!r}; its branches: {known}")
    reporter = _report_writer(grader, options) if reports else None
    synthetic = bool(grader.description.get("synthetic"))
    with ExitStack() as stack:
        table = nullcontext(lambda row: None)
        if options.csv:
            table = _table(options.csv, columns(grader.outputs))
        write = stack.enter_context(table)
        for folder in filter(None, (options.overlay, options.masks, options.dicom)):
            make_folder(folder)
        print(_heading(grader, options.model), file=sys.stderr)
        width = min(LONGEST_NAME, max(len(str(file)) for file in files))
        if not options.json:
            print(table_titles(width))
        shown = json.dumps if options.json else partial(table_line, width=width)
        held_back = []
        failed = inverted = unreported = 0
        progress = stack.enter_context(tqdm(total=len(files), desc="grading", unit="film",
                                           disable=None))
        graded = grader.grade_all(files, options.view, options.batch_size)
        for position, (file, knees) in enumerate(graded):
            progress.update()
            if isinstance(knees, ImageError):
                failed += 1
                progress.write(f"not graded: {knees}", file=sys.stderr)
                write({"file": str(file), "error": knees.reason})
                continue
            inverted += any(knee.turned for knee in knees)
            for remark in _remarks(knees):
                progress.write(f"{file}: {remark}", file=sys.stderr)
            for knee in knees:
                row = knee_row(str(file), knee, synthetic)
                if options.sort == "given":
                    progress.write(shown(row), file=sys.stdout)
                    write(csv_row(row))
                else:
                    held_back.append(row)
                if knee.unlike:
                    progress.write(f"{file}: the {SIDES[knee.side]} is unlike the training knees "
                                   f"(likeness {knee.likeness:.2f})", file=sys.stderr)
            if pictures:
                write_picture(pictures[position], film_picture(knees, synthetic, options.branch))
            if options.masks:
                for knee in knees:
                    write_masks(knee, stems[position], options.masks)
            if reports:
                try:
                    reporter.write(file, knees, *reports[position])
                except ImageError as error:
                    unreported += 1
                    progress.write(f"not reported: {error}", file=sys.stderr)
        progress.close()
        for row in sorted(held_back, key=uncertainty_key):
            print(shown(row))
            write(csv_row(row))
    remarks = sys.stderr if options.json else sys.stdout
    if options.csv:
        print(f"probabilities by every output: {options.csv}", file=remarks)
    if options.overlay:
        print(f"attention drawn in the folder {options.overlay}", file=remarks)
    if options.masks:
        print(f"masks in the folder {options.masks}", file=remarks)
    if options.dicom and unreported < len(files) - failed:
        print(f"DICOM reports in the folder {options.dicom}", file=remarks)
    if inverted:
        print(f"inverted photographic negatives: {inverted} of {len(files)} files", file=remarks)
    print(RESEARCH_ONLY, file=remarks)
    if failed:
        print(f"{failed} of {len(files)} files could not be graded", file=sys.stderr)
    if failed == len(files):
        raise InputError("no file could be graded")
    if unreported == len(files) - failed:
        raise InputError("no film could be reported")


def _remarks(knees: list) -> Iterator[str]:
    """What was done to a film before its knees were graded."""
    if any(knee.turned for knee in knees):
        yield "a photographic negative, inverted"
    if knees[0].frame:
        yield ("cropped off a uniform border (pixels at the left, top, right and bottom: "
               f"{knees[0].frame.pixels})")
    aspect = knees[0].pixel_aspect
    if aspect != 1:
        yield f"the pixels are not square (height {aspect:.3g} of the width); resampled"


def _heading(grader, model: Path) -> str:
    description = grader.description
    height, width = grader.image_size
    trained = ", trained on synthetic phantoms" if description.get("synthetic") else ""
    name = description.get("name") or model.name
    return f"{name}, grades by {grader.chosen}, {height}x{width}{trained}"


@contextmanager
def _table(path: Path, columns: list[str]) -> Iterator[Callable[[dict], object]]:
    """Open a CSV file for rows; it appears when the block ends."""
    with written_whole(path) as beside, open_table(beside) as file:
        writer = TableWriter(file, columns)
        writer.writeheader()
        yield writer.writerow


def _report_writer(grader, options: argparse.Namespace):
    not_installed = InputError(f"--dicom needs highdicom: {how_to_install('dicom-out')}")
    with missing_raises(not_installed, "pydicom", "highdicom"):
        from knee_attention.grading.dicom.algorithm import Algorithm
        from knee_attention.grading.dicom.reports import ReportFiles
    if options.parametric_map:
        grader.check_masks_fit_boxes()
    return ReportFiles(Algorithm.of(grader, options.view), options.parametric_map)


def output_files(files: list[Path], folder: Path, suffix: str) -> list[Path]:
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


def refuse_other_images(pictures: Iterable[Path], option: str) -> None:
    """Refuse to overwrite images that are not pictures of an earlier grading, such as films."""
    from knee_attention.films.image_files import is_picture

    for path in pictures:
        if path.exists() and not is_picture(path):
            raise InputError(f"{path}: exists and is not a picture of an earlier grading; choose "
                             f"another {option}")


def report_files(
    files: list[Path], folder: Path, with_map: bool = False
) -> list[tuple[Path, ...]]:
    """The files of each film's DICOM objects.

    Raises:
        InputError: no image is a DICOM file.
    """
    from knee_attention.films.inputs import REPORT_SUFFIXES, is_dicom

    if all(file.is_file() and not is_dicom(file) for file in files):
        raise InputError(f"{files[0]}: not a DICOM file, so it names no patient and study for a "
                         "report; leave out --dicom, or give DICOM files")
    suffixes = REPORT_SUFFIXES if with_map else REPORT_SUFFIXES[:2]
    return list(zip(*(output_files(files, folder, suffix) for suffix in suffixes),
                    strict=True))
