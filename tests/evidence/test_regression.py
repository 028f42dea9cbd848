"""Regressed grades as probabilities; ensembles leave them out."""

import numpy as np

from knee_attention.evidence.evaluation import better_branch, split_results
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.kl import GRADES


def test_the_most_probable_grade_is_the_rounded_one_and_the_mean_the_value():
    values = np.array([[-0.7], [0.0], [0.6], [2.3], [3.9], [4.0], [7.0]])
    found = as_probabilities(values)
    assert found.argmax(axis=1).tolist() == [0, 0, 1, 2, 4, 4, 4]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found @ np.array(GRADES), np.clip(values[:, 0], 0, 4))


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
