"""Convert a tree of DICOM files to one PNG per bilateral knee radiograph, and images.csv.

    python data_prep/dicom_to_png.py OAI_OR_MOST FILMS

DICOM files are recognised by content, so file names do not matter (OAI's are named 001).
FILMS gets <id>.png, images.csv (id, subject, date, barcode, spacing in mm, size, bits, source), and
excluded.csv with a reason for every other file. Ids are as in the labels: <subject>_<barcode> for
OAI, and <MOSTID>_V<visit> for MOST if its original folders are kept. A warning counts the films
whose PatientID and folder disagree.
The same command resumes a killed run. DICOM files need pip install -e ".[dicom]"; JPEG Lossless,
JPEG-LS and 12-bit JPEG need ".[dicom-jpeg]".
"""

import argparse
import os
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number
from knee_attention.errors import InputError, how_to_install, missing_raises
from knee_attention.runs.folder_lock import locked
from knee_attention.startup import command_line


def main(arguments: list[str] | None = None) -> None:
    """Run the command with these arguments; by default those of the command line."""
    options = _parser().parse_args(arguments)
    with command_line("dicom_to_png.py", resumable=True), locked(options.films, clean=False):
        _convert(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=as_path, help="folder with DICOM files, at any depth")
    parser.add_argument("films", type=as_path, help="output folder for the PNGs")
    parser.add_argument(
        "--series",
        metavar="REGEX",
        help="SeriesDescription to keep (default: bilateral PA fixed flexion knee, or blank)",
    )
    parser.add_argument(
        "--bits", type=int, choices=(8, 16), default=16, help="bits per pixel (default: 16)"
    )
    parser.add_argument(
        "--workers", type=positive_number, default=os.cpu_count(), help="number of processes"
    )
    return parser


def _convert(options: argparse.Namespace) -> None:
    lacking = InputError(f"DICOM files need pydicom: {how_to_install('dicom')}")
    with missing_raises(lacking, "pydicom"):
        import pydicom  # noqa: F401

    from knee_attention.data_prep.dicom_trees import (
        IMAGE_COLUMNS,
        Converter,
        Filter,
        Surveyor,
        name_films,
        read_contents_table,
    )
    from knee_attention.data_prep.film_subjects import with_subjects
    from knee_attention.data_prep.grade_tables import rows_kept, write_excluded
    from knee_attention.data_prep.journal import JOURNAL, SAME_ID_ELSEWHERE, Journal
    from knee_attention.data_prep.workers import process_files, refuse_other_images, visible_files
    from knee_attention.files import write_table

    wanted = Filter(options.series)
    files = visible_files(options.tree, options.films)
    contents, unreadable = read_contents_table(files)
    sources = [path for path in files if path.name.lower() != "contents.csv"]

    surveyor = Surveyor(contents, wanted)
    listings = {str(path): ", ".join(surveyor.listing(path).values()) for path in sources}
    refuse_other_images(options.films)
    choices = {"series": options.series, "body_part": None, "view": None}
    journal = Journal(options.films / ".headers.jsonl", choices, listings)
    survey = process_files(sources, surveyor, journal, options.workers, "headers")
    films, disagreeing = with_subjects(survey.rows)
    films, copies = name_films(films)

    ids = {film["source"]: film["id"] for film in films}
    converter = Converter(options.films, ids, options.bits)
    journal = Journal(options.films / JOURNAL, {"bits": options.bits}, ids)
    taken = {source: SAME_ID_ELSEWHERE for source, film in ids.items()
             if journal.made_elsewhere(f"{film}.png", options.tree)}
    paths = [Path(source) for source in ids if source not in taken]
    summary = process_files(paths, converter, journal, options.workers, "films")
    summary.found = len(sources) + len(unreadable)
    summary.excluded += unreadable + survey.excluded + copies + list(taken.items())

    surveyed = {film["source"]: film for film in films}
    rows = [{**surveyed[row["source"]], **row} for row in summary.rows]
    if summary.written:
        kept = survey.to_retry | summary.to_retry | set(map(os.path.abspath, taken))
        summary.removed, summary.elsewhere = journal.remove_stale(options.tree, summary.rows, kept)
    table = options.films / "images.csv"
    write_table(table, IMAGE_COLUMNS, rows + rows_kept(table, rows))
    write_excluded(options.films / "excluded.csv", summary.excluded)
    print(summary)
    if disagreeing:
        first = disagreeing[0]
        print(f"WARNING: PatientID differs from the folder or contents.csv for "
              f"{len(disagreeing)} of {len(survey.rows)} films (the first: {first['source']}, "
              f"PatientID {first['patient'] or 'blank'}, assigned to {first['subject']})")
    without_spacing = sum(row["row_spacing_mm"] == "" for row in rows)
    if without_spacing:
        print(f"films without pixel spacing: {without_spacing}")
    if summary.written == 0:
        raise InputError(f"{options.tree}: no radiograph could be converted; the reasons are in "
                         f"{options.films / 'excluded.csv'}")


if __name__ == "__main__":
    main()
