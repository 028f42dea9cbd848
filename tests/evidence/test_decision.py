import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from knee_attention.errors import InputError
from knee_attention.evidence.decision import RULES, decide, frequency_divisors, of_others
from knee_attention.kl import GRADES

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
    said = of_others(next(iter(RULES.values())), grades, values, subjects)
    np.testing.assert_array_equal(said, values.argmax(axis=1))


@pytest.mark.parametrize("rule, measure", [
    (WEIGHED, balanced_accuracy_score),
    (MEDIAN, lambda truth, said: cohen_kappa_score(truth, said, weights="quadratic")),
])  # fmt: skip
def test_a_rule_brings_what_it_is_made_for_to_persons_it_has_not_seen(
    shy_of_grade_1, rule, measure
):
    grades, values, subjects = shy_of_grade_1
    said = of_others(RULES[rule], grades, values, subjects)
    assert measure(grades, said) > measure(grades, values.argmax(axis=1))
    assert (said[grades == 1] == 1).mean() > (values.argmax(axis=1)[grades == 1] == 1).mean()


@pytest.mark.parametrize("rule", RULES)
def test_nobody_s_own_grade_is_learnt_from(shy_of_grade_1, rule):
    """The true grades of the last persons do not affect their own predictions."""
    grades, values, subjects = shy_of_grade_1
    order = np.argsort(np.array(subjects, int), kind="stable")
    first = of_others(RULES[rule], grades[order], values[order], subjects)
    for person in ("0", "77"):
        own = np.array(subjects) == person
        other = np.where(own, (grades + 2) % 5, grades)
        np.testing.assert_array_equal(
            of_others(RULES[rule], other, values, subjects)[own], first[own]
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
