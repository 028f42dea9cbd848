"""A tree of DICOM files -> one PNG per bilateral knee radiograph, and images.csv.

    python data_prep/dicom_to_png.py OAI_OR_MOST FILMS

Files are recognised by what is in them, so OAI's nameless 001 files, MOST's and any others will do.
FILMS gets <id>.png, images.csv (id, subject, date, barcode, spacing in mm, size, bits, source), and
excluded.csv with a reason for every other file. OAI's id is <subject>_<barcode> and MOST's, where
its own folders are kept, <MOSTID>_V<visit>, as in the labels. A warning counts the films whose
PatientID and place name different persons.
The same command goes on where a killed one stopped. Compressed files need
pip install "knee_attention[dicom]".
"""

import argparse
import os
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number
from knee_attention.errors import InputError, missing_raises
from knee_attention.startup import command_line


def main(arguments: list[str] | None = None) -> None:
    """Convert the films of a tree as a command line asks; by default the process's own."""
    options = _parser().parse_args(arguments)
    with command_line("dicom_to_png.py"):
        _convert(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=as_path, help="folder with DICOM files, at any depth")
    parser.add_argument("films", type=as_path, help="folder the PNGs go to")
    parser.add_argument(
        "--series",
        metavar="REGEX",
        help="SeriesDescription to take (default: bilateral PA fixed flexion knee, where given)",
    )
    parser.add_argument(
        "--body-part", metavar="REGEX", help="BodyPartExamined to take (default: knee, where given)"
    )
    parser.add_argument(
        "--view",
        metavar="REGEX",
        help="ViewPosition to take (default: PA, where given, and no lateral or axial view)",
    )
    parser.add_argument(
        "--bits", type=int, choices=(8, 16), default=16, help="of the PNGs (default: 16)"
    )
    parser.add_argument(
        "--workers", type=positive_number, default=os.cpu_count(), help="processes to use"
    )
    return parser


def _convert(options: argparse.Namespace) -> None:
    lacking = InputError('DICOM needs pydicom: pip install "knee_attention[dicom]"')
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
    from knee_attention.data_prep.file_summary import refuse_other_images, visible_files
    from knee_attention.data_prep.film_subjects import warning, with_subjects
    from knee_attention.data_prep.journal import JOURNAL, Journal
    from knee_attention.data_prep.table_files import rows_kept, write_excluded
    from knee_attention.data_prep.workers import process_files
    from knee_attention.files import write_table

    patterns = {name: getattr(options, name) for name in ("series", "body_part", "view")}
    wanted = Filter(**patterns)
    files = visible_files(options.tree, options.films)
    contents, unreadable = read_contents_table(files)
    sources = [path for path in files if path.name.lower() != "contents.csv"]

    surveyor = Surveyor(contents, wanted)
    listings = {str(path): ", ".join(surveyor.listing(path).values()) for path in sources}
    refuse_other_images(options.films)
    journal = Journal(options.films / ".headers.jsonl", patterns, listings)
    survey = process_files(sources, surveyor, journal, options.workers, "headers")
    films, disagreements = with_subjects(survey.rows)
    films, copies = name_films(films)

    ids = {film["source"]: film["id"] for film in films}
    converter = Converter(options.films, ids, options.bits)
    journal = Journal(options.films / JOURNAL, {"bits": options.bits}, ids)
    paths = [Path(film["source"]) for film in films]
    account = process_files(paths, converter, journal, options.workers, "films")
    account.found = len(sources) + len(unreadable)
    account.excluded += unreadable + survey.excluded + copies

    surveyed = {film["source"]: film for film in films}
    rows = [{**surveyed[row["source"]], **row} for row in account.rows]
    if account.written:
        account.removed, account.elsewhere = journal.remove_stale(options.tree, account.rows)
    table = options.films / "images.csv"
    write_table(table, IMAGE_COLUMNS, rows + rows_kept(table, rows))
    write_excluded(options.films / "excluded.csv", account.excluded)
    print(account)
    if disagreements:
        print(warning(disagreements, len(survey.rows)))
    without_spacing = sum(row["row_spacing_mm"] == "" for row in rows)
    if without_spacing:
        print(f"without pixel spacing: {without_spacing}")
    if account.written == 0:
        raise InputError(f"no radiograph of {options.tree} could be taken")


if __name__ == "__main__":
    main()
