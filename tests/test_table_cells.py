"""Every table escapes text that a spreadsheet would run as a formula, and reads it back
unchanged.
"""

import csv

import numpy as np
import pytest

from knee_attention.commands.grade import _table
from knee_attention.data_prep.pairing import subjects_of_films
from knee_attention.data_prep.table_files import rows_kept
from knee_attention.datasets.layout import MANIFEST, read_manifest
from knee_attention.errors import ImageError
from knee_attention.evidence.predictions import (
    Predictions,
    read_predictions,
    write_predictions,
)
from knee_attention.files import escaped, table_rows, unescaped, write_table
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.publishing import named_in_data
from knee_attention.runs.run_folder import RunFolder

FORMULAS = ["=1+1", "+film.png", "-film.png", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-1+1", "-0x1F"]
PLAIN = ["film.png", "a=b", "it's", "'quoted'", "", " =1"]
NUMBERS = ["-0.01", "+5", "-1e-05", "-.5", "7", "-3."]


def cells(path):
    """The cells of a CSV file as a spreadsheet sees them, without the header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_begins_like_a_formula_gets_an_apostrophe(text):
    assert escaped(text) == f"'{text}"
    for held in (text, f"'{text}", f"''{text}"):
        assert unescaped(escaped(held)) == held != escaped(held)


@pytest.mark.parametrize("text", [*PLAIN, *NUMBERS])
def test_other_text_and_numbers_stay_as_they_are(text):
    assert escaped(text) == text == unescaped(text)


def test_a_number_stays_a_number_and_the_header_is_escaped_too(tmp_path):
    write_table(tmp_path / "t.csv", ["=x", "y"], [{"=x": -0.01, "y": -3}, {"y": None}])
    assert (tmp_path / "t.csv").read_text().splitlines() == ["'=x,y", "-0.01,-3", ","]


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    rows = [{"file": text} for text in (*FORMULAS, *PLAIN[:4], *NUMBERS)]
    write_table(tmp_path / "t.csv", ["file"], rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert table_rows(file) == rows


def test_the_table_of_grades_holds_no_formula(tmp_path):
    with _table(tmp_path / "grades.csv", ["file", "likeness", "error"]) as write:
        write({"file": "=HYPERLINK(1).png", "likeness": -0.01, "error": "-no film"})
    assert cells(tmp_path / "grades.csv") == [["'=HYPERLINK(1).png", "-0.01", "'-no film"]]


def test_predictions_are_of_the_knees_as_they_are_named(tmp_path):
    path, even = tmp_path / "predictions.csv", {"att0": np.full((2, 5), 0.2)}
    write_predictions(Predictions(["-1R.png", "2R.png"], ["=p", "-7"], np.array([0, 1]), even),
                      "att0", path)  # fmt: skip
    assert [row[:2] for row in cells(path)] == [["'-1R.png", "'=p"], ["2R.png", "-7"]]
    found = read_predictions(path)
    assert (found.files, found.subjects) == (["-1R.png", "2R.png"], ["=p", "-7"])


def test_films_and_persons_keep_their_names_from_table_to_table(tmp_path):
    table = tmp_path / "knees.csv"
    row = {"id": "=S1", "subject": "@P1", "file": "=S1_R.png"}
    write_table(table, list(row), [row])
    (tmp_path / "=S1_R.png").touch()
    assert cells(table) == [["'=S1", "'@P1", "'=S1_R.png"]]
    assert subjects_of_films([table]) == {"=S1": "@P1"}
    assert rows_kept(table, []) == [row]
    write_table(tmp_path / MANIFEST, ["file", "subject"], [{"file": "=a.png", "subject": "+b c"}])
    assert read_manifest(tmp_path)["=a.png"]["subject"] == "+b c"


def test_files_that_were_left_out_are_published_by_their_place_in_the_data(tmp_path):
    run = RunFolder(tmp_path / "run")
    errors = [ImageError(f"=data/train/{name}", "-") for name in ("1.png", "=2.png")]
    run.begin(Experiment(), ["=turned.png"], errors)
    assert cells(run.turned) == [["'=turned.png"]]
    rows = named_in_data(run.unreadable, "=data")
    assert rows == [{"file": "train/1.png", "reason": "-"}, {"file": "train/=2.png", "reason": "-"}]
