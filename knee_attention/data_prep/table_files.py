"""Reading tables from text and SAS files, and writing the table of excluded files."""

import codecs
from collections.abc import Iterable
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
        InputError: the file is missing, is not a table, or has no rows.
    """
    import pandas

    try:
        if path.suffix.lower() == ".sas7bdat":
            table = pandas.read_sas(path, encoding="latin-1").map(_sas_text)
        else:
            encoding = _encoding(path)
            with path.open(encoding=encoding) as file:
                header = file.readline()
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
