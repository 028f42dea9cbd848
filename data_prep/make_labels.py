"""Make labels.csv, one row per graded knee, from the tables of OAI or MOST or a plain CSV file.

    python data_prep/make_labels.py kxr_sq_bu00.txt labels.csv

Reads OAI's kxr_sq_bu<visit> and MOST's MOSTV01235XRAY, each as .txt or .sas7bdat, and any CSV file
with the columns id, side (R or L), kl, and optionally subject, cohort, visit. If an OAI knee has
several readings, project 15 comes before 37 and 42. excluded.csv, beside the labels, lists every
reading that is not used, with the reason.
"""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError
from knee_attention.startup import command_line


def main(arguments: list[str] | None = None) -> None:
    """Run the command with these arguments; by default those of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tables", type=as_path, nargs="+", help="tables of one or several cohorts"
    )
    parser.add_argument("labels", type=as_path, help="output file, e.g. labels.csv")
    parser.add_argument("--visit", metavar="V00", help="use only readings of this visit (default: "
                        "all); then give later steps only films of this visit")
    options = parser.parse_args(arguments)
    with command_line("make_labels.py"):
        _make_labels(options.tables, options.labels, options.visit)


def _make_labels(tables: list[Path], labels: Path, visit: str | None) -> None:
    from collections import Counter

    from knee_attention.data_prep.grade_tables import read_table, readings_of, write_excluded
    from knee_attention.data_prep.grades import LABEL_COLUMNS, choose_grades
    from knee_attention.data_prep.journal import JOURNAL
    from knee_attention.data_prep.workers import Summary
    from knee_attention.files import keep_inputs, write_table

    if labels.suffix.lower() != ".csv":
        raise InputError(f"{labels}: the name of the output file must end in .csv")
    excluded = labels.with_name("excluded.csv")
    if (labels.parent / JOURNAL).exists():
        raise InputError(f"{labels.parent}: the {excluded.name} of another step would be "
                         "overwritten; choose another folder for the labels")
    keep_inputs(tables, [labels, excluded])
    readings = [reading for path in tables for reading in readings_of(read_table(path))]
    if labels.exists() and not _made_of(readings, read_table(labels)):
        raise InputError(f"{labels}: the file exists and was not made from these tables; give all "
                         "tables in one command, or name another output file last")
    visits = {reading.visit for reading in readings}
    if visit and visit not in visits:
        raise InputError(f"no reading has the visit {visit}; the tables have "
                         f"{', '.join(sorted(visits - {''})) or 'no visits'}")
    grades = choose_grades(readings, visit)
    write_excluded(excluded, grades.excluded)
    if not grades.labels:
        raise InputError(f"none of the readings can be used; the reasons are in {excluded}")
    write_table(labels, LABEL_COLUMNS, grades.labels)
    print("readings and knees")
    print(Summary(len(readings), grades.labels, len(grades.labels), excluded=grades.excluded))
    print(f"knees on which the reading projects disagree: {grades.disagreements}")
    counts = Counter(label["kl"] for label in grades.labels)
    print("knees per grade:", "  ".join(f"{kl}: {counts[kl]}" for kl in range(5)))


def _made_of(readings: list, table: list[dict]) -> bool:
    """Whether this script wrote a table, and all of its knees are among the readings.

    If the user forgets the output file, the last input table takes its place.
    """
    from knee_attention.data_prep.grades import LABEL_COLUMNS

    knees = {(reading.id, reading.side) for reading in readings}
    return list(table[0]) == [name.upper() for name in LABEL_COLUMNS] and all(
        (row["ID"], row["SIDE"]) in knees for row in table
    )


if __name__ == "__main__":
    main()
