"""What `knee-attention grade` prints and writes: the names of the files, and their content."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knee_attention.errors import ImageError, InputError
from knee_attention.files import keep_inputs
from knee_attention.films.file_kinds import DICOM_SUFFIXES
from knee_attention.films.image_files import IMAGE_SUFFIXES, is_picture, write_picture
from knee_attention.films.inputs import REPORT_SUFFIXES, is_dicom
from knee_attention.grading.graded_knee import write_masks
from knee_attention.grading.grader import RESEARCH_ONLY
from knee_attention.grading.rows import SIDES, csv_row, film_picture, knee_row, uncertainty_key


@dataclass(frozen=True)
class PlannedFiles:
    """The names of the output files of each film, in the films' order.

    Attributes:
        stems: the films' names without suffix, made distinct.
        pictures: files of `--overlay`; empty without the option.
        reports: files of `--dicom`; empty without the option.
    """

    stems: list[str]
    pictures: list[Path]
    reports: list[tuple[Path, ...]]


def planned_files(files: list[Path], options: argparse.Namespace) -> PlannedFiles:
    """Choose the output files. Refuse to overwrite films and other images."""
    stems = [path.name for path in output_files(files, Path(), "")]
    pictures = [options.overlay / f"{stem}.png" for stem in stems] if options.overlay else []
    reports = report_files(files, options.dicom, options.parametric_map) if options.dicom else []
    written = [*pictures, *(file for made in reports for file in made)]
    keep_inputs(files, [*written, options.csv] if options.csv else written)
    refuse_other_images(pictures, "--overlay")
    if options.masks:
        refuse_other_images(options.masks.glob("*.png"), "--masks")
    return PlannedFiles(stems, pictures, reports)


@dataclass
class Results:
    """Prints and writes the results of each film, and counts what happened.

    Attributes:
        options: the command line.
        planned: the output files.
        synthetic: whether the model was trained on phantoms.
        reporter: writes the DICOM reports; None without `--dicom`.
        progress: the progress bar; lines are printed above it.
        shown: the line of a row of results.
        write_row: writes a row to the CSV file, if there is one.
        held_back: rows that are printed at the end, in order of uncertainty.
        failed, inverted, unreported: numbers of films.
    """

    options: argparse.Namespace
    planned: PlannedFiles
    synthetic: bool
    reporter: Any
    progress: Any
    shown: Callable[[dict], str]
    write_row: Callable[[dict], object]
    held_back: list[dict] = field(default_factory=list)
    failed: int = 0
    inverted: int = 0
    unreported: int = 0

    def add_error(self, file: Path, error: ImageError) -> None:
        """Report a film that could not be graded."""
        self.failed += 1
        self.progress.write(f"not graded: {error}", file=sys.stderr)
        self.write_row({"file": str(file), "error": error.reason})

    def add(self, position: int, file: Path, knees: list) -> None:
        """Print and write the results of a graded film; `position` is its place in `planned`."""
        self.inverted += any(knee.inverted for knee in knees)
        for remark in _remarks(knees):
            self.progress.write(f"{file}: {remark}", file=sys.stderr)
        for knee in knees:
            row = knee_row(str(file), knee, self.synthetic)
            if self.options.sort == "given":
                self.progress.write(self.shown(row), file=sys.stdout)
                self.write_row(csv_row(row))
            else:
                self.held_back.append(row)
            if knee.unlike:
                self.progress.write(f"{file}: the {SIDES[knee.side]} is unlike the training knees "
                                    f"(likeness {knee.likeness:.2f})", file=sys.stderr)
            if self.options.masks:
                write_masks(knee, self.planned.stems[position], self.options.masks)
        if self.planned.pictures:
            picture = film_picture(knees, self.synthetic, self.options.branch)
            write_picture(self.planned.pictures[position], picture)
        if self.planned.reports:
            try:
                self.reporter.write(file, knees, *self.planned.reports[position])
            except ImageError as error:
                self.unreported += 1
                self.progress.write(f"not reported: {error}", file=sys.stderr)

    def show_held_back(self) -> None:
        """Print and write the rows that `--sort uncertain` held back."""
        for row in sorted(self.held_back, key=uncertainty_key):
            print(self.shown(row))
            self.write_row(csv_row(row))

    def print_summary(self, films: int) -> None:
        """Say where the files are, and how many of the films failed.

        Raises:
            InputError: no film could be graded, or none of the graded ones could be reported.
        """
        options = self.options
        remarks = sys.stderr if options.json else sys.stdout
        if options.csv:
            print(f"probabilities by every output: {options.csv}", file=remarks)
        if options.overlay:
            print(f"attention drawn in the folder {options.overlay}", file=remarks)
        if options.masks:
            print(f"masks in the folder {options.masks}", file=remarks)
        if options.dicom and self.unreported < films - self.failed:
            print(f"DICOM reports in the folder {options.dicom}", file=remarks)
        if self.inverted:
            print(f"inverted photographic negatives: {self.inverted} of {films} files",
                  file=remarks)
        print(RESEARCH_ONLY, file=remarks)
        if self.failed:
            print(f"{self.failed} of {films} files could not be graded", file=sys.stderr)
        if self.failed == films:
            raise InputError("no file could be graded")
        if self.unreported == films - self.failed:
            raise InputError("no film could be reported")


def _remarks(knees: list) -> Iterator[str]:
    """What was done to a film before its knees were graded."""
    if any(knee.inverted for knee in knees):
        yield "a photographic negative, inverted"
    if knees[0].frame:
        yield ("cropped off a uniform border (pixels at the left, top, right and bottom: "
               f"{knees[0].frame.pixels})")
    aspect = knees[0].pixel_aspect
    if aspect != 1:
        yield f"the pixels are not square (height {aspect:.3g} of the width); resampled"


def output_files(files: list[Path], folder: Path, suffix: str) -> list[Path]:
    """An output file for every file, of the same name; a number tells equal names apart."""
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
    if all(file.is_file() and not is_dicom(file) for file in files):
        raise InputError(f"{files[0]}: not a DICOM file, so it names no patient and study for a "
                         "report; leave out --dicom, or give DICOM files")
    suffixes = REPORT_SUFFIXES if with_map else REPORT_SUFFIXES[:2]
    return list(zip(*(output_files(files, folder, suffix) for suffix in suffixes),
                    strict=True))
