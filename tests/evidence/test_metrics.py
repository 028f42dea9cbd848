"""Metrics of a split, its results, and their lines beside the paper's."""

import numpy as np
import pytest

from knee_attention.evidence.finished_run import (
    better_branch,
    metrics_with_intervals,
    one_of_each_grade,
    split_results,
)
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.metrics import (
    SCALARS,
    cross_entropy,
    expected_calibration_error,
    grade_metrics,
)
from knee_attention.evidence.paper import PAPER_TABLE_1
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import ensemble
from knee_attention.evidence.result_lines import (
    RESULT_COLUMNS,
    difference_table,
    metrics_table,
    results_table,
    with_interval,
)

GRADES = np.array([0, 0, 1, 2, 3, 4, 4, 2])
PREDICTED = np.array([0, 1, 1, 2, 2, 4, 2, 2])


def certain(predicted, confidence=0.8):
    probabilities = np.full((len(predicted), 5), (1 - confidence) / 4)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


def kappa_by_formula(grades, predicted, power):
    """1 - sum(w * observed) / sum(w * expected), with weights |i - j|^power."""
    distance = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    weights = (distance > 0) if power == 0 else distance**power
    observed = np.zeros((5, 5))
    np.add.at(observed, (grades, predicted), 1)
    expected = np.outer(observed.sum(1), observed.sum(0)) / len(grades)
    return 1 - (weights * observed).sum() / (weights * expected).sum()


def test_metrics_equal_values_computed_by_hand():
    metrics = grade_metrics(GRADES, certain(PREDICTED))
    assert metrics["accuracy"] == 5 / 8
    assert metrics["balanced_accuracy"] == pytest.approx((0.5 + 1 + 1 + 0 + 0.5) / 5)
    assert metrics["mean_absolute_error"] == pytest.approx((1 + 1 + 2) / 8)
    assert metrics["cross_entropy"] == pytest.approx(-(5 * np.log(0.8) + 3 * np.log(0.05)) / 8)
    assert metrics["oa_accuracy"] == 1.0
    assert metrics["oa_auc"] == 1.0
    assert metrics["confusion"][4] == [0, 0, 1, 0, 1]
    for name, power in (("kappa", 0), ("kappa_linear", 1), ("kappa_quadratic", 2)):
        assert metrics[name] == pytest.approx(kappa_by_formula(GRADES, PREDICTED, power))


def test_per_grade_values_computed_by_hand():
    none, one, two, three, four = grade_metrics(GRADES, certain(PREDICTED))["per_grade"]
    assert none == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "knees": 2}
    assert one == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "knees": 1}
    assert two == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "knees": 2}
    assert three == {"precision": None, "recall": 0.0, "f1": 0.0, "knees": 1}
    assert four == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "knees": 2}


def test_a_grade_that_is_neither_there_nor_predicted_has_no_values():
    last = grade_metrics(np.array([0, 1]), certain([0, 1]))["per_grade"][4]
    assert last == {"precision": None, "recall": None, "f1": None, "knees": 0}


def test_auc_is_the_share_of_pairs_in_the_right_order():
    """Three knees with osteoarthritis against two without; one pair of six is a tie."""
    oa = np.array([0.9, 0.4, 0.6, 0.4, 0.1])
    probabilities = np.zeros((5, 5))
    probabilities[:, 0], probabilities[:, 3] = 1 - oa, oa
    found = grade_metrics(np.array([2, 3, 4, 0, 1]), probabilities)["oa_auc"]
    assert found == pytest.approx((6 - 0.5) / 6)


def test_calibration_error_computed_by_hand():
    """Four knees at 0.8, three of them right; two at 0.35, one right: |3 - 3.2| + |1 - 0.7|."""
    probabilities = np.concatenate([certain([0, 1, 2, 3], 0.8), certain([4, 4], 0.35)])
    grades = np.array([0, 1, 2, 0, 4, 0])
    assert expected_calibration_error(grades, probabilities) == pytest.approx((0.2 + 0.3) / 6)
    assert expected_calibration_error(np.arange(5), np.eye(5)) == 0


@pytest.mark.parametrize("bins", range(2, 10))
def test_calibration_is_told_by_tenths_of_confidence(bins):
    """A wrong and a right knee of one bin cancel; knees of two bins do not.

    The lowest bin is 2, because the highest of five probabilities is at least 0.2.
    """
    edges = np.array([bins + 0.2, bins + 0.8]) / 10
    within = expected_calibration_error(
        np.array([1, 0]), np.concatenate([certain([0], confidence) for confidence in edges])
    )
    assert within == pytest.approx(abs(1 - edges.sum()) / 2)
    if bins < 9:
        apart = [edges[1], edges[1] + 0.04]
        across = expected_calibration_error(
            np.array([1, 0]), np.concatenate([certain([0], confidence) for confidence in apart])
        )
        assert across == pytest.approx((apart[0] + abs(1 - apart[1])) / 2)


def test_osteoarthritis_begins_at_grade_2():
    metrics = grade_metrics(np.array([1, 2]), certain([1, 1]))
    assert metrics["oa_accuracy"] == 0.5
    assert grade_metrics(np.array([1, 2]), certain([0, 4]))["oa_accuracy"] == 1.0


def test_scalars_are_the_metrics_that_are_one_number():
    metrics = grade_metrics(GRADES, certain(PREDICTED))
    assert set(SCALARS) == {name for name, value in metrics.items() if isinstance(value, float)}


def test_what_is_undefined_is_none():
    metrics = grade_metrics(np.zeros(3, int), certain([0, 0, 0]))
    assert metrics["kappa"] is None and metrics["oa_auc"] is None
    assert metrics["accuracy"] == 1.0


def test_cross_entropy_survives_a_certain_mistake():
    """The cost is the one of Keras: -log(epsilon)."""
    found = cross_entropy(np.array([1]), np.array([[1.0, 0, 0, 0, 0]]))
    assert found == pytest.approx(-np.log(1e-7))


def test_ensemble_averages_before_the_softmax():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(2, 6, 5))

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)

    np.testing.assert_allclose(ensemble(list(softmax(logits))), softmax(logits.mean(axis=0)))


THREE_GRADES = np.array([3, 0, 3])
GOOD = np.eye(5)[THREE_GRADES] * 0.8 + 0.04
POOR = np.full((3, 5), 0.2)
SUBJECTS = ["1", "1", "2"]


def predictions(**probabilities):
    return Predictions(["a", "b", "c"], SUBJECTS, THREE_GRADES, probabilities)


def test_the_better_branch_has_the_lower_cross_entropy():
    assert better_branch(predictions(att0=POOR, att1=GOOD)) == "att1"


def test_several_branches_have_an_ensemble_and_one_has_none():
    assert list(split_results(predictions(att0=POOR, att1=GOOD))) == ["att0", "att1", "ensemble"]
    assert list(split_results(predictions(kl=GOOD))) == ["kl"]


def test_every_output_has_its_intervals_over_persons():
    results = split_results(predictions(att0=POOR, att1=GOOD))
    assert results["att0"]["intervals"] == bootstrap_intervals(THREE_GRADES, POOR, SUBJECTS)
    assert results["ensemble"]["intervals"]["accuracy"] == [1.0, 1.0]


def test_one_of_each_grade():
    assert one_of_each_grade(THREE_GRADES).tolist() == [1, 0]


def results(synthetic=False):
    import numpy as np

    metrics = grade_metrics(np.zeros(4, int), np.eye(5)[[0, 0, 1, 0]] * 0.5 + 0.1)
    return {
        "name": "vgg16_multiloss", "backbone": "vgg16", "variant": "multiloss",
        "synthetic": synthetic, "split": "test", "knees": 4, "chosen": "att0",
        "test": {"att0": metrics, "att1": {**metrics, "kappa": None}, "ensemble": metrics},
    }  # fmt: skip


def test_the_paper_s_number_stands_beside_ours():
    table = results_table(results())
    line = next(line for line in table.splitlines() if line.startswith("att0*"))
    assert line.split()[1] == "0.750" and line.split()[-1] == "0.643"
    assert "att1" in table and "0.632" in table


def test_synthetic_results_say_so():
    assert "synthetic" in results_table(results(synthetic=True))
    assert "synthetic" not in results_table(results())


def test_table_1_is_complete():
    assert len(PAPER_TABLE_1) == 4
    assert all(
        list(cells) == ["att0", "att1", "att2", "early_fusion", "multiloss"]
        for cells in PAPER_TABLE_1.values()
    )


def test_a_number_stands_with_its_interval():
    assert with_interval(0.6434, [0.61, 0.6699]) == "0.643 [0.610, 0.670]"
    assert with_interval(0.02, [-0.1, 0.14], "+") == "+0.020 [-0.100, +0.140]"
    assert with_interval(0.5, None) == "0.500"
    assert with_interval(None, None) == "undefined"


def test_columns_stand_below_their_titles():
    metrics = metrics_with_intervals(np.arange(5), np.eye(5), list("abcde"))
    lines = metrics_table({"att0": metrics, "a longer name": metrics}).splitlines()
    start = lines[0].index("accuracy")
    assert [line[start : start + 20] for line in lines[1:]] == ["1.000 [1.000, 1.000]"] * 2


def test_an_undefined_difference_says_so():
    value = {"difference": 0.1, "interval": [0.0, 0.2]}
    pair = {"metrics": {"accuracy": value, "kappa": None, "kappa_quadratic": value}}
    assert difference_table({"a - b": pair}).splitlines()[1] == (
        "a - b       +0.100 [+0.000, +0.200]  undefined  +0.100 [+0.000, +0.200]"
    )


def test_every_number_of_a_run_stands_below_its_title():
    metrics = metrics_with_intervals(np.arange(5), np.eye(5)[[0, 1, 2, 3, 0]], list("abcde"))
    results = {"name": "vgg16_att0", "backbone": "vgg16", "variant": "att0", "split": "test",
               "knees": 5, "synthetic": True, "chosen": "att0", "test": {"att0": metrics}}
    _, titles, row, *_ = results_table(results).splitlines()
    assert titles.split() == ["output", *RESULT_COLUMNS.values(), "paper"]
    shown = [f"{metrics[name]:.3f}" for name in RESULT_COLUMNS]
    assert row.split() == ["att0*", *shown, "0.622"]
    assert row.index("0.622") == titles.index("paper")
