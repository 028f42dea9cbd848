"""Read and write tables, and list the readings in tables of grades."""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import table_rows, unescaped, write_table


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a text or SAS table with every cell as text and column names in capitals.

    The escapes in tables of this package are removed.

    Args:
        path: `.sas7bdat`, or text separated by `|`, tabs, commas or semicolons.

    Returns:
        One dict per row; at least one.

    Raises:
        InputError: the file is missing, is not a table, has no rows, or has two columns whose
            names differ only in capitals or spaces.
    """
    import pandas

    try:
        if path.suffix.lower() == ".sas7bdat":
            table = pandas.read_sas(path, encoding="latin-1").map(_sas_text)
        else:
            encoding = _encoding(path)
            with path.open(encoding=encoding) as file:
                header = next(filter(str.strip, file), "")
            table = pandas.read_csv(
                path,
                sep=max("|\t,;", key=header.count),
                dtype=str,
                keep_default_na=False,
                index_col=False,
                encoding=encoding,
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # includes pandas' ParserError and EmptyDataError
        raise InputError(f"{path} is not a table: {str(error).strip().splitlines()[0]}") from None
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    table.columns = [str(name).strip().upper() for name in table.columns]
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(f"{path}: two columns are called {twice[0]}, ignoring capitals and "
                         "outer spaces; rename one")
    return table.fillna("").map(lambda cell: unescaped(cell.strip())).to_dict("records")


def _encoding(path: Path) -> str:
    """The encoding of a text file: UTF-16 by its byte order mark, UTF-8 if valid, else Latin 1."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def rows_kept(table: Path, rows: Iterable[dict]) -> list[dict]:
    """The rows of an existing `table` whose files still exist and are not among those of `rows`."""
    if not table.exists():
        return []
    new = {row["file"] for row in rows}
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        earlier = [row for row in table_rows(file) if row.get("file")]
    return [
        row for row in earlier
        if row["file"] not in new and (table.parent / row["file"]).is_file()
    ]  # fmt: skip


def _sas_text(value: object) -> str:
    """A SAS cell as text. SAS stores integers as floats and special missing values as NaN."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def write_excluded(path: Path, excluded: Iterable[tuple[str, str]]) -> None:
    """Write excluded files as a CSV file with the columns source and reason."""
    rows = ({"source": source, "reason": reason} for source, reason in excluded)
    write_table(path, ["source", "reason"], rows)


PROJECTS = ("15", "37", "42")
"""OAI's reading projects in order of preference. A knee gets the grade of the first that graded it.
"""


@dataclass(frozen=True)
class Reading:
    """One reading of one knee in a table.

    Attributes:
        line: the line of the table, `line <number>`.
        id: the film's id.
        subject: the person; blank if unknown.
        cohort: `OAI`, `MOST`, or as in a plain table.
        visit: the visit; blank if unknown.
        side: `R`, `L`, or blank.
        grade: the grade as written in the table.
        project: OAI's reading project; blank for other cohorts.
        version: the version of the reading; blank if unknown.
        visits: all visits of the subject that a plain table lists, separated by semicolons.
    """

    line: str
    id: str
    subject: str
    cohort: str
    visit: str
    side: str
    grade: str
    project: str = ""
    version: str = ""
    visits: str = ""


def readings_of(table: list[dict]) -> list[Reading]:
    """List the readings of a table, whose kind is recognised by its columns.

    OAI has one row per reading (ID, SIDE, READPRJ, V..XRKL). MOST has one row per subject (MOSTID,
    V.XRKL for the right knee, V.XLKL for the left). A plain table has one row per knee (id, side,
    kl, and optionally subject, cohort, visit).

    Args:
        table: the result of `read_table`.

    Raises:
        InputError: the columns fit none of the three.
    """
    columns = set(table[0])
    if "MOSTID" in columns:
        return _most_readings(table)
    if {"ID", "SIDE", "READPRJ"} <= columns:
        return _oai_readings(table)
    if {"ID", "SIDE", "KL"} <= columns:
        return _plain_readings(table)
    raise InputError(
        "expected the columns ID, SIDE, READPRJ, V00XRKL (OAI), MOSTID, V0XRKL, V0XLKL (MOST) "
        f"or id, side, kl. Received: {', '.join(list(table[0])[:8])}"
    )


def _oai_readings(table: list[dict]) -> list[Reading]:
    name = re.compile(r"(V\d\d)XRKL")
    visits = [match for match in map(name.fullmatch, table[0]) if match]
    if not visits:
        raise InputError("the OAI table has no column of grades such as V00XRKL")
    readings = []
    for line, row in enumerate(table, start=2):
        for match in visits:
            visit, subject = match[1], row["ID"]
            barcode = row.get(f"{visit}BARCDBU", "")
            film = film_id(subject, barcode) if barcode.isdigit() else f"{subject}_{visit}"
            readings.append(
                Reading(
                    line=f"line {line}",
                    id=film if subject else "",
                    subject=subject,
                    cohort="OAI",
                    visit=visit,
                    side=_side(row["SIDE"]),
                    grade=row[match[0]],
                    project=_number(row["READPRJ"]) or "blank",
                    version=row.get("VERSION", ""),
                )
            )
    return readings


def _most_readings(table: list[dict]) -> list[Reading]:
    name = re.compile(r"(V\d)X([RL])KL")
    grades = [match for match in map(name.fullmatch, table[0]) if match]
    if not grades:
        raise InputError("the MOST table has no columns of grades such as V0XRKL and V0XLKL")
    return [
        Reading(
            line=f"line {line}",
            id=f"{row['MOSTID']}_{match[1]}" if row["MOSTID"] else "",
            subject=row["MOSTID"],
            cohort="MOST",
            visit=match[1],
            side=match[2],
            grade=row[match[0]],
        )
        for line, row in enumerate(table, start=2)
        for match in grades
    ]


def _plain_readings(table: list[dict]) -> list[Reading]:
    return [
        Reading(
            line=f"line {line}",
            id=row["ID"],
            subject=row.get("SUBJECT", ""),
            cohort=row.get("COHORT", ""),
            visit=row.get("VISIT", ""),
            side=_side(row["SIDE"]),
            grade=row["KL"],
            project=row.get("PROJECT", "") if row.get("PROJECT") in PROJECTS else "",
            visits=row.get("VISITS", ""),
        )
        for line, row in enumerate(table, start=2)
    ]


def film_id(subject: str, film: str) -> str:
    """The id of a film: its subject and an identifier of the film.

    Args:
        subject: the subject's id.
        film: OAI's barcode of 12 digits (a missing leading zero is added), or any other word.
    """
    return f"{subject}_{film.zfill(12) if film.isdigit() and len(film) == 11 else film}"


def _number(text: str) -> str:
    return re.sub(r"\.0*$", "", text.split(":")[0].strip())


def _side(text: str) -> str:
    """Convert `1`, `1: Right`, `2: Left`, `right`, `R` and the like to `R`, `L` or blank."""
    code = _number(text).upper()
    return {"1": "R", "2": "L", "RIGHT": "R", "LEFT": "L", "R": "R", "L": "L"}.get(code, "")
