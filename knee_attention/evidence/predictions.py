"""The probabilities of every knee, as saved in `predictions.csv`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from knee_attention.errors import InputError
from knee_attention.evidence.probabilities import classifying, ensemble, refuse_not_finite
from knee_attention.files import escaped, unescaped, written_whole
from knee_attention.limits import GRADES

ENSEMBLE = "ensemble"
NAMES = ("file", "subject")
"""The text columns of a `predictions.csv`."""

ANY_NAME = "surrogateescape"
"""Encoding error handler that preserves file names that are not UTF-8."""

SUM_TOLERANCE = 1e-3
"""Largest difference between a row's sum and one. Tables rounded to four digits pass."""

ROUNDING = 1e-4
"""Largest difference between equal probabilities if a table is rounded to four digits."""


@dataclass(frozen=True)
class Predictions:
    """A model's predictions on the knees of one split.

    Attributes:
        files: file name of each knee.
        subjects: person of each knee.
        grades: `(n,)` int, true Kellgren-Lawrence grades.
        probabilities: `{output: (n, 5) float64}`, rows summing to one.

    Raises:
        InputError: a probability is not finite.
    """

    files: list[str]
    subjects: list[str]
    grades: np.ndarray
    probabilities: dict[str, np.ndarray]

    def __post_init__(self):
        for name, values in self.probabilities.items():
            refuse_not_finite(values, f"a probability of {name}")

    def __len__(self) -> int:
        return len(self.grades)

    def with_ensemble(self) -> dict[str, np.ndarray]:
        """The probabilities of all outputs and, with several classifiers, of their ensemble."""
        if len(classifying(self.probabilities)) < 2:
            return dict(self.probabilities)
        return {**self.probabilities, ENSEMBLE: self.ensemble()}

    def ensemble(self) -> np.ndarray:
        """The `(n, 5)` probabilities of the ensemble of all outputs that classify.

        They are averaged before the softmax. A single output keeps its own probabilities.
        """
        return ensemble(list(classifying(self.probabilities).values()))

    def of(self, output: str) -> np.ndarray:
        """The `(n, 5)` probabilities of an output, or of the `ensemble`.

        Raises:
            InputError: no such output.
        """
        outputs = self.with_ensemble()
        if output not in outputs:
            raise InputError(f"expected one of the outputs {', '.join(outputs)}. "
                             f"Received: {output!r}")
        return outputs[output]

    def take(self, positions: np.ndarray) -> "Predictions":
        """The predictions of the knees at these positions, in their order."""
        return Predictions(
            [self.files[position] for position in positions],
            [self.subjects[position] for position in positions],
            self.grades[positions],
            {name: values[positions] for name, values in self.probabilities.items()},
        )

    def equal(self, other: "Predictions") -> bool:
        """Whether both tables have the same knees and, up to rounding, the same probabilities."""
        outputs = self.probabilities
        return (
            self.files == other.files
            and outputs.keys() == other.probabilities.keys()
            and all(np.allclose(values, other.probabilities[name], rtol=0, atol=ROUNDING)
                    for name, values in outputs.items())
        )  # fmt: skip


def own_subjects(files: list[str], subjects: list[str]) -> list[str]:
    """The subjects; a knee without a subject gets its file name as subject."""
    return [subject.strip() or file for file, subject in zip(files, subjects, strict=True)]


def common_knees(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """Both tables, reduced to the files they share, in the order of the first.

    Raises:
        InputError: no file in common, or different true grades of a knee.
    """
    places = {file: place for place, file in enumerate(second.files)}
    here = np.array([i for i, file in enumerate(first.files) if file in places], int)
    if len(here) == 0:
        raise InputError(f"no knee in common: the first table has {first.files[0]} and "
                         f"{len(first) - 1} more, the second has {second.files[0]} and "
                         f"{len(second) - 1} more")
    there = np.array([places[first.files[i]] for i in here])
    first, second = first.take(here), second.take(there)
    differing = np.flatnonzero(first.grades != second.grades)
    if len(differing):
        knee = differing[0]
        raise InputError(f"{first.files[knee]} has the true grade {first.grades[knee]} in one "
                         f"table and {second.grades[knee]} in the other")
    return first, second


def common_to_all(tables: list[Predictions]) -> list[Predictions]:
    """All tables, reduced to the files that all share, in the order of the first.

    Raises:
        InputError: no file in common, or different true grades of a knee.
    """
    shared = tables[0]
    for table in tables[1:]:
        shared, _ = common_knees(shared, table)
    return [common_knees(shared, table)[1] for table in tables]


def write_predictions(predictions: Predictions, chosen: str, path: str | os.PathLike) -> None:
    """Write a `predictions.csv` with one row per knee. The file appears whole or not at all.

    The columns are `file`, `subject`, `grade`, `<output>_p0` to `<output>_p4` for every output,
    and `prediction`, the grade predicted by the output `chosen`.
    """
    columns = {
        "file": predictions.files, "subject": predictions.subjects, "grade": predictions.grades
    }  # fmt: skip
    for name, values in predictions.probabilities.items():
        columns |= {f"{name}_p{grade}": values[:, grade] for grade in GRADES}
    columns["prediction"] = predictions.of(chosen).argmax(axis=1)
    write_table_of_predictions(pd.DataFrame(columns), path)


def write_table_of_predictions(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write the cells of a `predictions.csv`. The file appears whole or not at all."""
    names = {name: table[name].map(escaped) for name in NAMES if name in table}
    with written_whole(path) as beside:
        table.assign(**names).to_csv(beside, index=False, errors=ANY_NAME)


def read_predictions(path: str | os.PathLike) -> Predictions:
    """Read and check a `predictions.csv`.

    Raises:
        InputError: no such file, a missing column, no rows, a duplicate knee, a grade outside 0-4,
            or probabilities that are not numbers, lie outside 0-1, or do not sum to one.
    """
    path = Path(path)
    table = read_table_of_predictions(path)
    outputs = _outputs(table, path)
    if table.empty:
        raise InputError(f"{path}: has no rows")
    twice = np.flatnonzero(table["file"].duplicated())
    if len(twice):
        raise InputError(f"{path}, line {twice[0] + 2}: duplicate file {table['file'][twice[0]]}")
    grades = _numbers(table["grade"], path)
    _refuse(~np.isin(grades, GRADES), path, "grade", table["grade"], "a grade from 0 to 4")
    files = table["file"].tolist()
    subjects = table["subject"].tolist() if "subject" in table else [""] * len(files)
    return Predictions(
        files,
        own_subjects(files, subjects),
        grades.astype(np.int64),
        {name: _probabilities(table, name, path) for name in outputs},
    )


def read_table_of_predictions(path: Path) -> pd.DataFrame:
    """The cells of a `predictions.csv` as text. File names may contain any bytes.

    Raises:
        InputError: no such file, or not a table.
    """
    try:
        table = pd.read_csv(
            path,
            dtype=object,  # the string type of pandas only holds UTF-8
            keep_default_na=False,
            encoding_errors=ANY_NAME,
            engine="python",
        ).fillna("")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # errors of pandas are ValueErrors
        raise InputError(f"{path}: not a table of predictions ({error})") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes surplus cells as row names
        raise InputError(f"{path}: its rows have more cells than the header")
    return table.assign(**{name: table[name].map(unescaped) for name in NAMES if name in table})


def _outputs(table: pd.DataFrame, path: Path) -> list[str]:
    """Names of the outputs in a table; raises InputError if a column is missing."""
    names = [re.fullmatch(r"(.+)_p\d", str(column)) for column in table.columns]
    outputs = list(dict.fromkeys(name[1] for name in names if name))
    wanted = ["file", "grade"]
    wanted += [f"{name}_p{grade}" for name in outputs or ["<output>"] for grade in GRADES]
    missing = [column for column in wanted if column not in table]
    if missing:
        raise InputError(f"{path}: missing columns {', '.join(missing)}")
    return outputs


def _probabilities(table: pd.DataFrame, output: str, path: Path) -> np.ndarray:
    columns = [f"{output}_p{grade}" for grade in GRADES]
    values = np.stack([_numbers(table[column], path) for column in columns], axis=1)
    for column, numbers in zip(columns, values.T, strict=True):
        outside = (numbers < 0) | (numbers > 1)
        _refuse(outside, path, column, table[column], "a probability from 0 to 1")
    sums = values.sum(axis=1)
    wrong = abs(sums - 1) > SUM_TOLERANCE
    _refuse(wrong, path, f"{output}_p0 to {output}_p4", sums.round(4), "probabilities summing to 1")
    return values


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    _refuse(~np.isfinite(numbers), path, column.name, column, "a number")
    return column.astype(np.float64).to_numpy()  # to_numeric may round


def _refuse(wrong: np.ndarray, path: Path, column: str, values, expected: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        more = f" (and {wrong.sum() - 1} more lines)" if wrong.sum() > 1 else ""
        received = "nothing" if values[row] == "" else values[row]
        raise InputError(f"{path}, line {row + 2}, {column}: expected {expected}. "
                         f"Received: {received}{more}")
