"""Tables read from text or SAS files, and CSV files written whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import write_table


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table of text or SAS, every cell as text, the names of the columns in capitals.

    Args:
        path: `.sas7bdat`, or text separated by `|`, tabs, commas or semicolons.

    Returns:
        One dict per row; at least one.

    Raises:
        InputError: the file is missing, or no such table.
    """
    import pandas

    try:
        if path.suffix.lower() == ".sas7bdat":
            table = pandas.read_sas(path, encoding="latin-1").map(_sas_text)
        else:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                header = file.readline()
            table = pandas.read_csv(
                path,
                sep=max("|\t,;", key=header.count),
                dtype=str,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
                encoding_errors="replace",
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # pandas' ParserError and EmptyDataError are of this kind
        raise InputError(f"{path} is no table: {str(error).strip().splitlines()[0]}") from None
    if table.empty:
        raise InputError(f"{path} is a table without rows")
    table.columns = [str(name).strip().upper() for name in table.columns]
    return table.fillna("").map(str.strip).to_dict("records")


def _sas_text(value: object) -> str:
    """SAS stores numbers as floats and its special missing codes as NaN."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def write_excluded(path: Path, excluded: Iterable[tuple[str, str]]) -> None:
    """Write what was left out as a CSV file with the columns source and reason."""
    rows = ({"source": source, "reason": reason} for source, reason in excluded)
    write_table(path, ["source", "reason"], rows)
