"""The grades of OAI, MOST or a plain CSV file -> labels.csv, one row per graded knee.

    python data_prep/make_labels.py kxr_sq_bu00.txt labels.csv

Takes OAI's kxr_sq_bu<visit> and MOST's MOSTV01235XRAY, each as .txt or .sas7bdat, and any CSV file
with the columns id, side (R or L), kl and perhaps subject, cohort, visit. Of several readings of an
OAI knee project 15 is preferred, then 37, then 42. Every reading that is not used is listed with a
reason in excluded.csv beside the labels.
"""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError
from knee_attention.startup import command_line


def main(arguments: list[str] | None = None) -> None:
    """Choose the grades of all knees as a command line asks; by default the process's own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tables", type=as_path, nargs="+", help="tables of one cohort or of several"
    )
    parser.add_argument("labels", type=as_path, help="the file to write, e.g. labels.csv")
    parser.add_argument("--visit", metavar="V00", help="take this visit alone; the films then have "
                        "to be of it too (default: all)")
    options = parser.parse_args(arguments)
    with command_line("make_labels.py"):
        _make_labels(options.tables, options.labels, options.visit)


def _make_labels(tables: list[Path], labels: Path, visit: str | None) -> None:
    from collections import Counter

    from knee_attention.data_prep.file_summary import Account
    from knee_attention.data_prep.grade_tables import readings_of
    from knee_attention.data_prep.grades import LABEL_COLUMNS, choose_grades
    from knee_attention.data_prep.journal import JOURNAL
    from knee_attention.data_prep.table_files import read_table, write_excluded
    from knee_attention.files import keep_inputs, write_table

    if labels.suffix.lower() != ".csv":
        raise InputError(f"{labels}: the labels go to a file that ends in .csv")
    excluded = labels.with_name("excluded.csv")
    if (labels.parent / JOURNAL).exists():
        raise InputError(f"{labels.parent} has the {excluded.name} of another step, which would be "
                         "written over; choose another folder for the labels")
    keep_inputs(tables, [labels, excluded])
    readings = [reading for path in tables for reading in readings_of(read_table(path))]
    if labels.exists() and not _made_of(readings, read_table(labels)):
        raise InputError(f"{labels}: is there already and was not made of the tables before it; "
                         "the file to write is named last")
    visits = {reading.visit for reading in readings}
    if visit and visit not in visits:
        raise InputError(f"no reading is of visit {visit}; there are "
                         f"{', '.join(sorted(visits - {''})) or 'none that name one'}")
    grades = choose_grades(readings, visit)
    if not grades.labels:
        raise InputError(f"none of {len(readings)} readings is a grade from 0 to 4")

    write_table(labels, LABEL_COLUMNS, grades.labels)
    write_excluded(excluded, grades.excluded)
    print("readings and knees")
    print(Account(len(readings), grades.labels, len(grades.labels), excluded=grades.excluded))
    print(f"knees on which the reading projects disagree: {grades.disagreements}")
    counts = Counter(label["kl"] for label in grades.labels)
    print("knees per grade:", "  ".join(f"{kl}: {counts[kl]}" for kl in range(5)))


def _made_of(readings: list, table: list[dict]) -> bool:
    """Whether a table is of this script, and every knee in it is one of the readings'.

    Where the output is forgotten, the last of the tables to read stands in its place.
    """
    from knee_attention.data_prep.grades import LABEL_COLUMNS

    knees = {(reading.id, reading.side) for reading in readings}
    return list(table[0]) == [name.upper() for name in LABEL_COLUMNS] and all(
        (row["ID"], row["SIDE"]) in knees for row in table
    )


if __name__ == "__main__":
    main()
