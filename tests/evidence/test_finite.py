"""NaN and infinity are refused as predictions and in metrics."""

import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.evidence.evaluation import better_branch, split_results
from knee_attention.evidence.intervals import bootstrap_intervals, paired_differences
from knee_attention.evidence.metrics import (
    cross_entropy,
    expected_calibration_error,
    grade_metrics,
)
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import (
    as_probabilities,
    best_temperature,
    ensemble,
    tempered,
)

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
        lambda values: paired_differences(
            predictions(uniform()), "att0", predictions(values), "att0", 10
        ),
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
