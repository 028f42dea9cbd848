"""Decisions from probabilities: calibration, cut points and prediction sets."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from knee_attention.errors import InputError
from knee_attention.evidence.calibration import Calibration, best_temperature
from knee_attention.evidence.confidence import confidence
from knee_attention.evidence.decision import RULES, cross_validated, decide, frequency_divisors
from knee_attention.evidence.metrics import expected_calibration_error
from knee_attention.evidence.prediction_sets import (
    nonconformity,
    prediction_sets,
    set_figures,
    thresholds,
)
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import tempered
from knee_attention.limits import GRADES

WEIGHED, MEDIAN = list(RULES)[1:]


@pytest.fixture
def shy_of_grade_1():
    """Knees of 200 persons, seldom with grade 1 as the most probable grade; and their persons."""
    generator = np.random.default_rng(0)
    frequencies = np.array([0.5, 0.1, 0.2, 0.15, 0.05])
    grades = generator.choice(5, 400, p=frequencies)
    seen = grades + generator.normal(0, 0.5, 400)
    near = frequencies * np.exp(-np.subtract.outer(seen, GRADES) ** 2)
    return grades, near / near.sum(axis=1, keepdims=True), [str(knee // 2) for knee in range(400)]


def test_the_paper_s_rule_is_the_most_probable_grade(shy_of_grade_1):
    grades, values, subjects = shy_of_grade_1
    said = cross_validated(next(iter(RULES.values())), grades, values, subjects)
    np.testing.assert_array_equal(said, values.argmax(axis=1))


@pytest.mark.parametrize("rule, measure", [
    (WEIGHED, balanced_accuracy_score),
    (MEDIAN, lambda truth, said: cohen_kappa_score(truth, said, weights="quadratic")),
])  # fmt: skip
def test_a_rule_brings_what_it_is_made_for_to_persons_it_has_not_seen(
    shy_of_grade_1, rule, measure
):
    grades, values, subjects = shy_of_grade_1
    said = cross_validated(RULES[rule], grades, values, subjects)
    assert measure(grades, said) > measure(grades, values.argmax(axis=1))
    assert (said[grades == 1] == 1).mean() > (values.argmax(axis=1)[grades == 1] == 1).mean()


@pytest.mark.parametrize("rule", RULES)
def test_nobody_s_own_grade_is_learnt_from(shy_of_grade_1, rule):
    """The true grades of the last persons do not affect their own predictions."""
    grades, values, subjects = shy_of_grade_1
    order = np.argsort(np.array(subjects, int), kind="stable")
    first = cross_validated(RULES[rule], grades[order], values[order], subjects)
    for person in ("0", "77"):
        own = np.array(subjects) == person
        other = np.where(own, (grades + 2) % 5, grades)
        np.testing.assert_array_equal(
            cross_validated(RULES[rule], other, values, subjects)[own], first[own]
        )


def test_the_median_is_where_half_of_the_probability_is_reached():
    values = np.array([[0.3, 0.2, 0.1, 0.1, 0.3], [0.3, 0.1, 0.2, 0.1, 0.3], [0, 0, 0, 0, 0.99]])
    np.testing.assert_array_equal(decide(values, "median"), [1, 2, 4])


def test_balanced_needs_to_know_how_frequent_the_grades_were():
    with pytest.raises(InputError, match="does not record how frequent"):
        decide(np.eye(5), "balanced")
    divisors = frequency_divisors([90, 10, 0, 50, 50], 1)
    assert divisors.min() == 1 / 200  # a grade that no training knee has
    unsure = np.array([[0.5, 0.2, 0, 0.3, 0]])
    np.testing.assert_array_equal(decide(unsure, "balanced", divisors), [1])


def true_and_said(sharpened):
    """Grades drawn from probabilities, and the same probabilities made overconfident."""
    generator = np.random.default_rng(0)
    honest = generator.dirichlet(np.ones(5), 4000)
    grades = np.array([generator.choice(5, p=row) for row in honest])
    return grades, tempered(honest, 1 / sharpened)


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 2.0])
def test_the_temperature_that_was_taken_away_is_found(sharpened):
    grades, said = true_and_said(sharpened)
    assert best_temperature(grades, said) == pytest.approx(sharpened, rel=0.1)


def test_calibrated_probabilities_are_as_certain_as_they_are_right():
    grades, said = true_and_said(2.0)
    better = tempered(said, best_temperature(grades, said))
    before, after = (expected_calibration_error(grades, p) for p in (said, better))
    assert after < 0.03 < before
    np.testing.assert_array_equal(better.argmax(axis=1), said.argmax(axis=1))


COUNTS = [50, 10, 20, 15, 5]


def knees_of(persons: int, seed: int) -> Predictions:
    """Both knees of persons, which are alike; probabilities that are right about them."""
    generator = np.random.default_rng(seed)
    severity = generator.normal(1.3, 1.2, persons).repeat(2)
    grades = np.clip(np.rint(severity + generator.normal(0, 0.4, 2 * persons)), 0, 4).astype(int)
    seen = grades + generator.normal(0, 0.7, 2 * persons)
    near = np.exp(-np.square(np.subtract.outer(seen, GRADES)))
    files = [f"{knee}.png" for knee in range(2 * persons)]
    subjects = [str(knee // 2) for knee in range(2 * persons)]
    values = {"att0": near / near.sum(axis=1, keepdims=True)}
    return Predictions(files, subjects, grades, values)


def test_a_set_has_no_gap_and_grows_with_the_coverage():
    values = np.random.default_rng(0).dirichlet(np.full(5, 0.3), 500)
    scores = nonconformity(values)
    for row, most in zip(scores, values.argmax(axis=1), strict=True):
        assert (np.diff(row[: most + 1]) <= 0).all() and (np.diff(row[most:]) >= 0).all()
    sure = [step / 100 for step in range(99)]
    before = np.stack([values.argmax(axis=1)] * 2, axis=1)
    for coverage in (0.01, 0.5, 0.9, 0.99):
        sets = prediction_sets(values, sure, coverage)
        assert (sets[:, 0] <= before[:, 0]).all() and (before[:, 1] <= sets[:, 1]).all()
        before = sets


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_sets_of_new_persons_hold_their_grades_as_often_as_promised(coverage):
    held = []
    for seed in range(60):
        calibrated, new = knees_of(50, seed), knees_of(50, seed + 1000)
        among = thresholds(calibrated.grades, calibrated.of("att0"), calibrated.subjects)
        sets = prediction_sets(new.of("att0"), among, coverage)
        held.append(set_figures(new.grades, new.grades, sets)["coverage"])
    assert coverage - 0.01 < np.mean(held) < coverage + 0.03


def test_every_person_counts_as_one_and_few_persons_promise_little():
    """A person with many knees does not decide for the others."""
    values = np.array([[0.9, 0.1, 0, 0, 0]] * 9 + [[0.2, 0.8, 0, 0, 0]] * 3)
    grades, subjects = np.zeros(12, int), ["one"] * 9 + ["two", "three", "four"]
    among = thresholds(grades, values, subjects)
    assert among[19] == pytest.approx(0.1) and among[20] == pytest.approx(0.8)
    assert among[79] == pytest.approx(0.8) and among[80] is None
    sets = prediction_sets(np.array([[0.5, 0.5, 0, 0, 0], [1, 0, 0, 0, 0]]), among, 0.9)
    np.testing.assert_array_equal(sets, [[0, 4], [0, 4]])


def test_figures_are_of_persons_that_served_for_no_fit():
    """Random grades: a fit to the own knees would promise more than it holds."""
    known = knees_of(40, 3)
    known = Predictions(known.files, known.subjects,
                        np.random.default_rng(1).integers(0, 5, 80), known.probabilities)
    found = confidence(known, "att0", 1.0, COUNTS)
    assert found["decision"]["default"] == "probable"
    assert set(found["decision"]["validation"]) == {"probable", "balanced", "median"}
    figures = found["prediction_sets"]["validation"]
    assert figures["coverage"] > 0.8 and figures["size"] > 3.5
    assert found["prediction_sets"]["subjects"] == 40


def test_a_file_without_calibration_gives_no_set_and_no_balance():
    plain = Calibration.recorded({})
    assert plain.checked_coverage(None) is None and plain.checked_rule(None) == "probable"
    with pytest.raises(InputError, match="has no prediction sets; knee-attention calibrate"):
        plain.checked_coverage(0.9)
    with pytest.raises(InputError, match="does not record how frequent"):
        plain.checked_rule("balanced")
    with pytest.raises(InputError, match="one of the rules probable, balanced, median"):
        plain.checked_rule("mean")


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 0.905, 1e-9, 1 - 1e-10, float("nan")])
def test_a_coverage_that_no_threshold_is_for_is_refused(coverage):
    with pytest.raises(InputError, match="from 0.01 to 0.99"):
        Calibration(thresholds=[0.5] * 99).checked_coverage(coverage)


def test_a_set_holds_the_grade_that_another_rule_gives():
    calibration = Calibration(thresholds=[0.3] * 99)
    values = np.array([[0.75, 0.15, 0.1, 0, 0]])
    np.testing.assert_array_equal(calibration.sets(values, np.array([0]), 0.9), [[0, 0]])
    np.testing.assert_array_equal(calibration.sets(values, np.array([2]), 0.9), [[0, 2]])
