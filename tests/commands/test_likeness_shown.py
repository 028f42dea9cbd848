"""The row of a knee that is unlike the training knees is marked."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from knee_attention.commands.grade import _TITLES, _line, _table
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.rows import columns, knee_row

KNEE = GradedKnee("R", np.zeros((4, 4), np.uint8), {"att0": np.full(5, 0.2)}, "att0", {})


def row(**changes):
    return knee_row("film.png", replace(KNEE, **changes), synthetic=False)


@pytest.mark.parametrize(("known", "shown"), [
    ({"likeness": -0.01, "unlike": True}, ["-0.01", "unlike"]),
    ({"likeness": 0.93, "unlike": False}, ["0.93"]),
    ({}, ["-"]),
])  # fmt: skip
def test_the_line_of_a_knee_shows_its_likeness(known, shown):
    words = _line(row(**known)).split()
    assert words[words.index("R") + 9 :] == shown
    assert _TITLES.split()[-1] == "likeness"
    end = len(_TITLES)
    assert _line(row(**known))[:end].endswith(shown[0])


def test_the_table_and_json_hold_it_too(tmp_path):
    unlike = row(likeness=-0.01, unlike=True)
    assert unlike["likeness"] == -0.01 and unlike["unlike"] is True
    with _table(tmp_path / "grades.csv", columns(["att0"])) as write:
        write(unlike)
    with (tmp_path / "grades.csv").open() as file:
        [kept] = csv.DictReader(file)
    assert (kept["likeness"], kept["unlike"]) == ("-0.01", "True")
