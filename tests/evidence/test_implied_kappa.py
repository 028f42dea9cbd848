"""The paper's kappa of 0.63 at an accuracy of 64.3% cannot be an unweighted one (REPRODUCTION.md).

Kappa is (po - pe) / (1 - pe), where po is the accuracy and pe the agreement by chance. For a given
po, a lower pe gives a higher kappa. pe is the sum over the grades of (share in the truth) * (share
in the predictions).
"""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from knee_attention.evidence.metrics import grade_metrics

OAI = np.array([3435, 1589, 2353, 1222, 295])
"""Number of knees of each grade: the 4,447 persons with two graded knees in OAI's baseline."""

SHARES = OAI / OAI.sum()
ACCURACY, PAPER_KAPPA = 0.643, 0.63


def kappa(accuracy, chance):
    return (accuracy - chance) / (1 - chance)


def predictions_like_the_truth(accuracy):
    """Truth and predictions with OAI's distribution: wrong knees exchange their grades."""
    grades = np.repeat(np.arange(5), OAI)
    wrong = np.random.default_rng(0).permutation(len(grades))[round(accuracy * len(grades)) :]
    wrong = wrong[np.argsort(grades[wrong], kind="stable")]
    predicted = grades.copy()
    predicted[wrong] = np.roll(grades[wrong], len(wrong) // 2)
    return grades, predicted


def least_chance(shares, accuracy):
    """The lowest agreement by chance of all 5x5 tables with these shares in the truth.

    The agreement is linear in the cells of the table.
    """
    cost = np.tile(shares, 5)  # cell (truth, predicted) adds shares[predicted]
    rows = np.kron(np.eye(5), np.ones(5))
    found = linprog(cost, A_eq=[*rows, np.eye(5).ravel()], b_eq=[*shares, accuracy])
    assert found.success
    return found.fun


def test_with_the_truth_s_margins_an_accuracy_of_64_3_percent_is_a_kappa_of_0_51():
    assert kappa(ACCURACY, (SHARES**2).sum()) == pytest.approx(0.51, abs=0.005)
    grades, predicted = predictions_like_the_truth(ACCURACY)
    assert (np.bincount(predicted) == OAI).all()
    metrics = grade_metrics(grades, np.eye(5)[predicted])
    assert metrics["accuracy"] == pytest.approx(ACCURACY, abs=1e-4)
    assert metrics["kappa"] == pytest.approx(kappa(ACCURACY, (SHARES**2).sum()), abs=5e-4)


def test_the_kappas_the_paper_quotes_for_others_do_fit_an_unweighted_one():
    chance = (SHARES**2).sum()
    assert kappa(0.59, chance) == pytest.approx(0.42, abs=0.02)
    assert kappa(0.6229, chance) == pytest.approx(0.48, abs=0.005)


def test_no_predictions_on_oai_s_grades_reach_more_than_0_58():
    highest = kappa(ACCURACY, least_chance(SHARES, ACCURACY))
    assert highest == pytest.approx(0.583, abs=0.001) and highest < PAPER_KAPPA


def test_no_five_grades_of_any_distribution_reach_more_than_0_59():
    """The best case: all mistakes turn one grade into one other; right knees are spread out."""
    wrong = 1 - ACCURACY
    small = (ACCURACY - 1.5 * wrong) / 5
    right = np.array([small, small, *[small + wrong / 2] * 3])
    chance = (right**2).sum() + wrong * (right[0] + right[1])
    assert right.sum() == pytest.approx(ACCURACY)
    assert kappa(ACCURACY, chance) == pytest.approx(0.587, abs=0.001)

    # The same by search. Chance is bilinear in the true and predicted grades of the mistakes, so at
    # its minimum they have one true and one predicted grade; in the right knees it is convex.
    searched = min(
        minimize(
            lambda right, origin=origin, target=target: (right + wrong * origin)
            @ (right + wrong * target),
            np.full(5, ACCURACY / 5),
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda right: right.sum() - ACCURACY},
        ).fun
        for origin, target in itertools.product(np.eye(5), repeat=2)
    )
    assert searched == pytest.approx(chance, abs=1e-6)


def test_weighted_kappas_have_room_for_0_63():
    """With OAI's distribution and all mistakes off by one grade, weighted kappas are highest."""
    distance = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    linear, quadratic = (1 - (1 - ACCURACY) / (SHARES @ distance**power @ SHARES)
                         for power in (1, 2))  # fmt: skip
    assert (linear, quadratic) == pytest.approx((0.73, 0.88), abs=0.005)
    assert min(linear, quadratic) > PAPER_KAPPA
