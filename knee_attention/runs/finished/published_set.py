"""The tables that hold all published runs of one data set."""

import csv
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.files import make_folder, table_rows, write_table

Row = dict[str, str]
"""The cells of a row, by column."""

RUNS = "runs.csv"
METRICS = "metrics.csv"
ATTENTION = "attention.csv"
AUDITS = "audits.csv"
HISTORIES = "histories.csv"
KNEES = "knees.csv"
LISTS = ("inverted.csv", "trimmed.csv", "unreadable.csv")
TABLES = (RUNS, METRICS, ATTENTION, AUDITS, HISTORIES, KNEES, *LISTS)


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Attributes:
        columns: the names of the columns.
        rows: one dict a row with a cell for each column; a missing value is an empty cell.
    """

    columns: list[str]
    rows: list[Row]

    def with_run(self, run: str, rows: Iterable[Row]) -> "Table":
        """The table with these rows in place of all rows of a run, sorted by run."""
        kept = [row for row in self.rows if row["run"] != run]
        return table_of(self.columns, sorted([*kept, *rows], key=lambda row: row["run"]))


def table_of(columns: Iterable[str], rows: list[Row]) -> Table:
    """A table with these columns, followed by further columns of its rows."""
    columns = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return Table(columns, [{name: row.get(name, "") for name in columns} for row in rows])


class PublishedSet:
    """A folder with the published runs of one data set.

    All tables are CSV files; `results_page.FILES` describes their content.

    `write` first puts all new tables into the folder `.publishing`. While that folder exists, its
    tables are the valid ones.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._pending = self.folder / ".publishing"

    @property
    def exists(self) -> bool:
        """Whether the folder holds published runs."""
        return self.path(RUNS).exists()

    def path(self, name: str) -> Path:
        """The file that holds a table now."""
        pending = self._pending / name
        return pending if pending.exists() else self.folder / name

    def table(self, name: str) -> Table:
        """Read a table; a file that is missing gives a table without columns and rows.

        Raises:
            InputError: the file cannot be read.
        """
        path = self.path(name)
        try:
            with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                rows = table_rows(file)
        except FileNotFoundError:
            return Table([], [])
        except (OSError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        return table_of((), rows)

    def write(self, tables: dict[str, Table]) -> None:
        """Replace tables. A killed process leaves all old tables or all new ones.

        Raises:
            InputError: a table cannot be written.
        """
        staging = self.folder / f".{os.getpid()}.new"
        try:
            for name, table in tables.items():
                write_table(staging / name, table.columns, table.rows)
            staging.rename(self._pending)
            self.finish_write()
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written: {error.strerror}") from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def finish_write(self) -> None:
        """Move the tables of a killed `write` to their places; remove tables that it left
        incomplete. No other process may write at the same time.
        """
        for incomplete in self.folder.glob(".*.new"):
            shutil.rmtree(incomplete)
        for path in sorted(self._pending.rglob("*.csv")):
            target = self.folder / path.relative_to(self._pending)
            make_folder(target.parent)
            path.replace(target)
        if self._pending.exists():
            shutil.rmtree(self._pending)

    def history(self, run: str) -> list[dict[str, float]]:
        """The history of a run: one dict an epoch, with the columns that the run has."""
        return [
            {name: float(cell) for name, cell in row.items() if cell and name != "run"}
            for row in self.table(HISTORIES).rows
            if row["run"] == run
        ]


def predictions_name(experiment: str) -> str:
    """The table with the predictions of all runs of an experiment."""
    return f"predictions/{experiment}.csv"


def run_of(column: str) -> str:
    """The run of a column with probabilities, `<run>/<output>_p<grade>`."""
    return column.partition("/")[0]
