"""Cut bilateral radiographs into one file per knee.

    python data_prep/split_knees.py FILMS KNEES --contact-sheet cuts.png

Every film FILMS/<id>.png becomes KNEES/<id>_R.png (the image's left half, the patient's right knee)
and KNEES/<id>_L.png. KNEES also gets knees.csv, cutting.json with the options, and excluded.csv
with a reason for every other file. The same command resumes a killed run.

    python data_prep/split_knees.py FILMS KNEES --crop joint --contact-sheet cuts.png

writes crops of the joints instead: squares like those of the public set, or --aspect antony. A film
is excluded, with its score, if a joint is not found or an implant covers one. knees.csv also
lists each joint's score and its box on the film.
"""

import argparse
import os
from collections import defaultdict

from knee_attention.commands.arguments import as_path, positive_number
from knee_attention.errors import InputError
from knee_attention.limits import (
    CROPS,
    EQUALIZATIONS,
    FITS,
    KNEE_SIZE,
    LARGEST_SIDE,
    POLARITIES,
    SMALLEST_SIDE,
    SPLIT_METHODS,
)
from knee_attention.runs.folder_lock import locked
from knee_attention.startup import command_line

SIZES = {"half": KNEE_SIZE, "square": (224, 224), "antony": (200, 300)}
"""Height and width of a knee in pixels for each crop: those of the paper, of the public set, and of
Antony's networks."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command with these arguments; by default those of the command line."""
    options = _parser().parse_args(arguments)
    with command_line("split_knees.py", resumable=True), locked(options.knees, clean=False):
        _split(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=as_path, help="folder of radiographs of both knees")
    parser.add_argument("knees", type=as_path, help="output folder")
    parser.add_argument(
        "--split",
        choices=SPLIT_METHODS,
        help="cut in the gap between the legs, or always in the middle as the paper does "
        "(default: auto)",
    )
    parser.add_argument(
        "--crop",
        choices=("half", "joint"),
        default="half",
        help="halves of films as in the paper, or crops of the joints (default: half)",
    )
    parser.add_argument(
        "--aspect",
        choices=CROPS[1:],
        help="shape of a crop: square as in the public set, or wide as for Antony's networks "
        "(default: square)",
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="size of a knee in pixels (default: 320 224; crops: 224 224, antony: 200 300)",
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        default="stretch",
        help="stretch to the size, or keep the proportions and pad (default: stretch)",
    )
    parser.add_argument(
        "--equalize",
        choices=EQUALIZATIONS,
        default="hist",
        help="histogram equalisation; experiments equalise again on reading (default: hist)",
    )
    parser.add_argument("--flip-left", action="store_true", help="mirror left knees")
    parser.add_argument(
        "--polarity",
        choices=POLARITIES,
        default="auto",
        help="invert photographic negatives, or keep every film as it is (default: auto)",
    )
    parser.add_argument(
        "--contact-sheet", type=as_path, metavar="FILE", help="draw all cuts for a visual check"
    )
    parser.add_argument(
        "--workers", type=positive_number, default=os.cpu_count(), help="number of processes"
    )
    return parser


def _split(options: argparse.Namespace) -> None:
    if options.aspect and options.crop != "joint":
        raise InputError("--aspect needs --crop joint")
    if options.split and options.crop == "joint":
        raise InputError("--split cannot be combined with --crop joint, which finds each joint")
    crop = (options.aspect or "square") if options.crop == "joint" else "half"
    size = tuple(options.size or SIZES[crop])
    if min(size) < SMALLEST_SIDE or max(size) > LARGEST_SIDE:
        raise InputError(f"--size must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side")
    if options.contact_sheet and options.contact_sheet.suffix.lower() not in (".png", ".jpg"):
        raise InputError(f"{options.contact_sheet}: a contact sheet must be a .png or .jpg file")

    from knee_attention.data_prep.film_to_knees import (
        BOX_COLUMNS,
        KNEE_COLUMNS,
        Cutter,
        contact_sheets,
        page_files,
    )
    from knee_attention.data_prep.grade_tables import rows_kept, write_excluded
    from knee_attention.data_prep.journal import JOURNAL, SAME_ID_ELSEWHERE, Journal
    from knee_attention.data_prep.pairing import subjects_of_films
    from knee_attention.data_prep.workers import process_files, refuse_other_images, visible_files
    from knee_attention.files import keep_inputs, write_table
    from knee_attention.films.cutting import CUTTING, Cutting, write_cutting
    from knee_attention.films.image_files import is_image_file
    from knee_attention.films.legs import knee_name
    from knee_attention.films.localiser import fingerprint

    own_tables = {"images.csv", "excluded.csv"}
    files = visible_files(options.films, options.knees, lambda file: file.name == CUTTING)
    sources = [path for path in files if path.name not in own_tables]
    if options.contact_sheet:
        keep_inputs(files, page_files(options.contact_sheet, len(sources)))
    by_id = defaultdict(list)
    for source in filter(is_image_file, sources):
        by_id[source.stem].append(source)
    ambiguous = sorted(source for same in by_id.values() if len(same) > 1 for source in same)

    split = options.split or "auto"
    cutting = Cutting(split, size, options.fit, options.equalize, options.flip_left, crop)
    choices = {**cutting.described(), "polarity": options.polarity}
    if crop != "half":
        choices["localiser"] = fingerprint()
    refuse_other_images(options.knees)
    journal = Journal(options.knees / JOURNAL, choices)
    write_cutting(options.knees, cutting)
    cutter = Cutter(options.knees, cutting, options.polarity)
    not_cut = dict.fromkeys(ambiguous, "another film has the same id")
    for film, (source, *others) in by_id.items():
        knee = f"{knee_name(film, 'R')}.png"
        if not others and journal.made_elsewhere(knee, options.films):
            not_cut[source] = SAME_ID_ELSEWHERE
    distinct = [source for source in sources if source not in not_cut]
    summary = process_files(distinct, cutter, journal, options.workers, "films")
    summary.found = len(sources)
    summary.excluded += [(str(path), reason) for path, reason in not_cut.items()]

    subjects = subjects_of_films(path for path in files if path.name == "images.csv")
    rows = [{**row, "subject": subjects.get(row["id"], "")} for row in summary.rows]
    columns = KNEE_COLUMNS if crop == "half" else [*KNEE_COLUMNS, *BOX_COLUMNS]
    if summary.written:
        summary.removed, summary.elsewhere = journal.remove_stale(
            options.films, summary.rows, summary.to_retry
        )
    table = options.knees / "knees.csv"
    write_table(table, columns, rows + rows_kept(table, rows))
    write_excluded(options.knees / "excluded.csv", summary.excluded)
    print(summary)
    if summary.written == 0:
        raise InputError(f"{options.films}: no film could be cut into two knees; the reasons are "
                         f"in {options.knees / 'excluded.csv'}. Give single knees directly to "
                         "make_dataset.py")
    inverted = {row["id"] for row in rows if row.get("inverted")}
    if inverted:
        print(f"photographic negatives inverted: {len(inverted)}, marked in the column 'inverted'")
    print(f"{len(rows)} knees: {options.knees}")
    if options.contact_sheet:
        files = [options.knees / row["file"] for row in rows]
        pairs = zip(rows[::2], files[::2], files[1::2], strict=True)
        sheets = contact_sheets(
            options.contact_sheet, [(row["id"], right, left) for row, right, left in pairs]
        )
        print("contact sheets:", ", ".join(map(str, sheets)))


if __name__ == "__main__":
    main()
