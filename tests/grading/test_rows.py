"""The row of a knee and its remarks; a film on which the network fails gets no grade."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from stand_ins import Uniform

from knee_attention.commands.grade import _table
from knee_attention.errors import ImageError, InputError
from knee_attention.films.preparation import Preparation
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import Grader
from knee_attention.grading.rows import (
    columns,
    csv_row,
    knee_row,
    table_line,
    table_titles,
    uncertainty_key,
)
from knee_attention.phantoms.film import phantom_film

WIDTH = 20
SURE = {"att0": np.array([0.6, 0.3, 0.1, 0, 0])}
KNEE = GradedKnee("R", np.zeros((4, 4), np.uint8), SURE, "att0", {})


def row(**changes):
    return knee_row("film.png", replace(KNEE, **changes), synthetic=False)


@pytest.mark.parametrize(("known", "shown"), [
    ({"likeness": -0.01, "unlike": True}, ["-0.01", "unlike,", "look", "again"]),
    ({"likeness": 0.93, "unlike": False}, ["0.93"]),
    ({}, ["-"]),
])  # fmt: skip
def test_the_line_of_a_knee_shows_its_likeness(known, shown):
    words = table_line(row(**known), WIDTH).split()
    assert words[words.index("R") + 9 :] == shown
    assert table_titles(WIDTH).split()[-1] == "likeness"
    end = len(table_titles(WIDTH))
    assert table_line(row(**known), WIDTH)[:end].endswith(shown[0])


@pytest.mark.parametrize(("lowest", "highest", "shown", "again"), [
    (0, 0, " 0 (0) ", False), (0, 1, " 0 (0-1) ", False), (0, 2, " 0 (0-2) ", True),
])  # fmt: skip
def test_a_set_of_three_grades_asks_for_a_second_look(lowest, highest, shown, again):
    known = row(grade_set=(lowest, highest), coverage=0.9)
    assert (known["lowest"], known["highest"], known["coverage"]) == (lowest, highest, 0.9)
    assert shown in table_line(known, WIDTH)
    assert known["look_again"] == again == table_line(known, WIDTH).endswith("look again")


@pytest.mark.parametrize(("probabilities", "decided", "between"), [
    ([0.1, 0.43, 0.47, 0, 0], None, (1, 2)), ([0.4, 0.05, 0.3, 0.2, 0.05], None, (0, 2)),
    ([0.3, 0.22, 0.1, 0.38, 0], None, (1, 3)), ([0.1, 0.4, 0.5, 0, 0], None, None),
    ([0.6, 0.2, 0.2, 0, 0], 1, None), ([0.3, 0.3, 0.2, 0.2, 0], 2, (1, 2)),
])  # fmt: skip
def test_a_grade_that_the_probability_of_osteoarthritis_denies_is_between_two(
    probabilities, decided, between
):
    known = replace(KNEE, branches={"att0": np.array(probabilities)}, decided=decided)
    assert known.between == between
    said = between and f"between {between[0]} and {between[1]}"
    assert known.words == f"KL {known.grade}" + (f", {said}" if said else "")
    assert (said or "-") in table_line(knee_row("film.png", known, False), WIDTH)


def test_the_least_certain_knees_come_first():
    knees = [row(), row(branches={"att0": np.array([0.4, 0.4, 0.2, 0, 0])}),
             row(grade_set=(0, 2), coverage=0.9), row(unlike=True, likeness=0.1)]  # fmt: skip
    assert [knees.index(one) for one in sorted(knees, key=uncertainty_key)] == [2, 3, 1, 0]


def test_the_table_and_json_hold_it_too(tmp_path):
    unlike = row(likeness=-0.01, unlike=True)
    assert unlike["likeness"] == -0.01 and unlike["unlike"] is True
    with _table(tmp_path / "grades.csv", columns(["att0"])) as write:
        write(csv_row(unlike))
    with (tmp_path / "grades.csv").open() as file:
        [kept] = csv.DictReader(file)
    assert (kept["likeness"], kept["unlike"]) == ("-0.01", "True")
    assert (kept["lowest"], kept["look_again"]) == ("", "True")


PLAIN = Preparation()


@pytest.fixture(scope="module")
def film():
    return phantom_film((0, 4), seed=3, height=200).image


class Faulty(Uniform):
    """A uniform network that changes its values for some positions of a batch."""

    def __init__(self, change, output="att0"):
        super().__init__(PLAIN)
        self.change, self.output = change, output

    def __call__(self, images):
        values = super().__call__(images)
        values[self.output] = self.change(values[self.output])
        return values


def not_finite(value):
    def change(values):
        values[2, ...] = value  # the right knee of the second film
        return values

    return change


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("output", ["att0", "att0_mask"])
def test_a_film_without_a_finite_output_is_named_and_the_rest_graded(film, value, output):
    grader = Grader(Faulty(not_finite(value), output))
    first, (image, refused), third = grader.grade_all([film, film, film])
    assert image is film and isinstance(refused, ImageError) and refused.temporary
    assert "not a finite number" in str(refused) and str(refused).startswith("the image: ")
    for _, knees in (first, third):
        assert [knee.side for knee in knees] == ["R", "L"]


@pytest.mark.parametrize("change", [
    lambda values: values[:, :4],
    lambda values: values[:, :, np.newaxis],
    lambda values: values[:1],
    lambda values: values - 1,
], ids=["four grades", "another rank", "one row", "no probabilities"])  # fmt: skip
def test_values_that_are_no_grades_are_refused(film, change):
    with pytest.raises(ImageError, match="the image: .*(five prob|sum to one|for 2 knees)"):
        Grader(Faulty(change)).grade(film)


def test_a_network_that_fails_is_the_reason_for_every_film(film):
    def fail(_):
        raise InputError("model.onnx: OpenCV cannot run its graph")

    for _, refused in Grader(Faulty(fail)).grade_all([film, film]):
        assert refused.temporary and refused.reason == "model.onnx: OpenCV cannot run its graph"
