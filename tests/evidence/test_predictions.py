"""Predictions, regressed grades, and refusal of NaN and infinity."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from knee_attention.errors import InputError
from knee_attention.evidence.calibration import best_temperature
from knee_attention.evidence.finished_run import better_branch, split_results
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.metrics import cross_entropy, expected_calibration_error, grade_metrics
from knee_attention.evidence.predictions import (
    Predictions,
    common_to_all,
    read_predictions,
    write_predictions,
)
from knee_attention.evidence.probabilities import as_probabilities, ensemble, tempered

GOOD = np.array([[0.5, 0.2, 0.1, 0.1, 0.1], [0.1, 0.1, 0.2, 0.2, 0.4], [0.2] * 5])
POOR = GOOD[:, ::-1]
KNEES = Predictions(
    ["0/1L.png", "4/1R.png", "2/007L.png"], ["1", "1", "007"], np.array([0, 4, 2]),
    {"att0": GOOD, "att1": POOR},
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    write_predictions(KNEES, "att0", tmp_path / "predictions.csv")
    return tmp_path / "predictions.csv"


def changed(path, change):
    table = pd.read_csv(path, dtype={"subject": str}).astype(object)
    change(table).to_csv(path, index=False)
    return path


def test_what_is_written_is_read_to_the_last_digit(tmp_path):
    thirds = np.full((3, 5), 1 / 3) * [0.6, 0.6, 0.6, 0.6, 0.6]
    knees = Predictions(KNEES.files, KNEES.subjects, KNEES.grades, {"kl": thirds})
    write_predictions(knees, "kl", tmp_path / "predictions.csv")
    found = read_predictions(tmp_path / "predictions.csv")
    assert (found.files, found.subjects) == (knees.files, knees.subjects)
    assert found.grades.tolist() == [0, 4, 2] and found.grades.dtype.kind == "i"
    np.testing.assert_array_equal(found.probabilities["kl"], thirds)


def test_columns_and_the_chosen_branch_s_prediction(path):
    table = pd.read_csv(path)
    assert list(table.columns) == [
        "file", "subject", "grade",
        *[f"{branch}_p{grade}" for branch in ("att0", "att1") for grade in range(5)],
        "prediction",
    ]  # fmt: skip
    assert table["prediction"].tolist() == [0, 4, 0]
    assert table["att0_p0"].tolist() == [0.5, 0.1, 0.2]
    assert table["att1_p0"].tolist() == [0.1, 0.4, 0.2]


def test_several_outputs_have_an_ensemble_and_one_has_none():
    np.testing.assert_array_equal(KNEES.of("ensemble"), ensemble([GOOD, POOR]))
    assert list(KNEES.with_ensemble()) == ["att0", "att1", "ensemble"]
    one = Predictions(KNEES.files, KNEES.subjects, KNEES.grades, {"kl": GOOD})
    assert list(one.with_ensemble()) == ["kl"]


def test_a_knee_without_a_subject_is_a_person_of_its_own(path):
    def blank(table):
        table.loc[:1, "subject"] = ["", "  "]
        return table

    assert read_predictions(changed(path, blank)).subjects == ["0/1L.png", "4/1R.png", "007"]
    without = changed(path, lambda table: table.drop(columns="subject"))
    assert read_predictions(without).subjects == KNEES.files


def put(column, value, row=1):
    def change(table):
        table.loc[row, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="grade"), "missing columns grade"),
        (lambda table: table.drop(columns="att1_p3"), "missing columns att1_p3"),
        (lambda table: table[["file", "grade"]], "missing columns <output>_p0"),
        (lambda table: table[:0], "has no rows"),
        (lambda table: table.iloc[[0, 1, 0]], "line 4: duplicate file 0/1L.png"),
        (put("grade", 5), "line 3, grade: expected a grade from 0 to 4. Received: 5"),
        (put("grade", -1), "line 3, grade: expected a grade"),
        (put("grade", 1.5), "line 3, grade: expected a grade"),
        (put("grade", "KL 2"), "line 3, grade: expected a number. Received: KL 2"),
        (put("grade", np.nan), "line 3, grade: expected a number. Received: nothing"),
        (put("att1_p2", np.nan), "line 3, att1_p2: expected a number"),
        (put("att1_p2", "nan"), "line 3, att1_p2: expected a number"),
        (put("att1_p2", "inf"), "line 3, att1_p2: expected a number"),
        (put("att0_p0", 0.4), "line 3, att0_p0 to att0_p4: expected .* summing to 1. .* 1.3"),
        (lambda table: table.assign(**{f"att0_p{grade}": 0 for grade in range(5)}),
         "line 2, att0_p0 to att0_p4: expected .* summing to 1. Received: 0.0"),
        (put("att0_p0", -0.1), "line 3, att0_p0: expected a probability from 0 to 1"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_in_one_sentence(path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(changed(path, change))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_probabilities_rounded_to_four_digits_pass(path):
    def rounded(table):
        for grade in range(5):
            table[f"att0_p{grade}"] = [0.1429, 0.2857, 0.1429, 0.1429, 0.2857][grade]
        return table

    read_predictions(changed(path, rounded))


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "predictions.csv"
    with pytest.raises(InputError, match="no such file"):
        read_predictions(path)
    for content in (b"", b"\xff\xfe\x00\x01", b'a,b\n"1,2\n'):
        path.write_bytes(content)
        with pytest.raises(InputError, match="predictions.csv"):
            read_predictions(path)
    with pytest.raises(InputError, match=str(tmp_path)):
        read_predictions(tmp_path)


def test_rows_with_more_cells_than_the_header_are_refused(path):
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{row}," for row in rows)]))
    with pytest.raises(InputError, match="more cells than the header"):
        read_predictions(path)


def test_a_regression_is_no_part_of_what_several_outputs_say_together():
    sure = np.eye(5)[[0, 4, 2]]
    joint = replace(KNEES, probabilities={"kl": GOOD, "regression": sure})
    np.testing.assert_allclose(joint.ensemble(), GOOD)
    both = replace(KNEES, probabilities={"att0": GOOD, "regression": sure, "att1": POOR})
    np.testing.assert_array_equal(both.ensemble(), ensemble([GOOD, POOR]))


def test_of_several_tables_the_knees_remain_that_all_have():
    first, second, third = (KNEES.take(np.array(places)) for places in ([0, 1], [2, 1], [1, 0, 2]))
    for table in common_to_all([first, second, third]):
        assert table.files == ["4/1R.png"] and table.grades.tolist() == [4]
    with pytest.raises(InputError, match="no knee in common"):
        common_to_all([first, third, KNEES.take(np.array([2]))])


def test_the_most_probable_grade_is_the_rounded_one_and_the_mean_the_value():
    values = np.array([[-0.7], [0.0], [0.6], [2.3], [3.9], [4.0], [7.0]])
    found = as_probabilities(values)
    assert found.argmax(axis=1).tolist() == [0, 0, 1, 2, 4, 4, 4]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found @ np.arange(5), np.clip(values[:, 0], 0, 4))


def test_probabilities_stay_as_they_are():
    values = np.random.default_rng(0).dirichlet(np.ones(5), 3)
    np.testing.assert_array_equal(as_probabilities(values), values)


def test_a_regression_is_in_no_ensemble_and_never_chosen():
    sure, flat = np.eye(5)[[0, 1]], np.full((2, 5), 0.2)
    both = Predictions(["a", "b"], ["a", "b"], np.array([0, 1]), {"kl": flat, "regression": sure})
    assert list(both.with_ensemble()) == ["kl", "regression"]
    assert better_branch(both) == "kl"


def test_what_measures_probabilities_is_undefined_for_a_regression():
    grades, subjects = np.array([0, 1, 2, 4]), ["a", "a", "b", "b"]
    values = {"kl": np.full((4, 5), 0.2), "regression": np.eye(5)[grades]}
    results = split_results(Predictions([*"abcd"], subjects, grades, values))
    for name in ("cross_entropy", "oa_auc", "expected_calibration_error"):
        assert results["regression"][name] is results["regression"]["intervals"][name] is None
        assert results["kl"][name] is not None
    assert results["regression"]["accuracy"] == 1


GRADES = np.array([0, 1, 2, 4])
SUBJECTS = ["a", "a", "b", "c"]
NOT_FINITE = "not a finite number"


def uniform(value=0.2):
    """Probabilities of four knees; the last knee has `value` for KL 0."""
    values = np.full((4, 5), 0.2)
    values[3, 0] = value
    return values


def predictions(values):
    return Predictions([*"wxyz"], SUBJECTS, GRADES, {"att0": values})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "use",
    [
        as_probabilities,
        lambda values: as_probabilities(values[:, :1]),
        lambda values: tempered(values, 2.0),
        lambda values: ensemble([uniform(), values]),
        lambda values: cross_entropy(GRADES, values),
        lambda values: expected_calibration_error(GRADES, values),
        lambda values: grade_metrics(GRADES, values),
        lambda values: bootstrap_intervals(GRADES, values, SUBJECTS, 10),
        lambda values: bootstrap_intervals(GRADES, np.stack([uniform(), values]), SUBJECTS, 10),
        lambda values: best_temperature(GRADES, values),
        lambda values: better_branch(predictions(values)),
        lambda values: split_results(predictions(values)),
        lambda values: predictions(values).with_ensemble(),
    ],
)
def test_what_is_computed_of_it_is_refused(use, value):
    with np.errstate(all="ignore"), pytest.raises(InputError, match=NOT_FINITE):
        use(uniform(value))


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf, 1e-308])
def test_a_temperature_that_gives_no_probabilities_is_refused(temperature):
    with np.errstate(all="ignore"), pytest.raises(InputError, match="temperature"):
        tempered(np.eye(5), temperature)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((2, 5)), "sum to one"),
        (np.array([[1.5, -0.5, 0, 0, 0]]), "sum to one"),
        (np.array([[2.0, 0.1, 0.1, 3.0, 0.2]]), "sum to one"),
        (np.full((2, 4), 0.25), "five probabilities or one grade"),
        (np.full((2, 5, 1), 0.2), "five probabilities or one grade"),
        (np.zeros(5), "five probabilities or one grade"),
    ],
)
def test_what_is_neither_probabilities_nor_a_grade_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        as_probabilities(values)


def test_probabilities_of_float16_pass():
    values = np.random.default_rng(0).dirichlet(np.ones(5), 50).astype(np.float16)
    np.testing.assert_array_equal(as_probabilities(values), values)
