import numpy as np

from knee_attention.evidence.evaluation import (
    better_branch,
    one_of_each_grade,
    predictions_table,
    split_results,
)

GRADES = np.array([3, 0, 3])
GOOD = np.eye(5)[GRADES] * 0.8 + 0.04
POOR = np.full((3, 5), 0.2)


def test_the_better_branch_has_the_lower_cross_entropy():
    assert better_branch(GRADES, {"att0": POOR, "att1": GOOD}) == "att1"


def test_several_branches_have_an_ensemble_and_one_has_none():
    assert list(split_results(GRADES, {"att0": POOR, "att1": GOOD})) == ["att0", "att1", "ensemble"]
    assert list(split_results(GRADES, {"kl": GOOD})) == ["kl"]


def test_predictions_are_the_chosen_branch_s():
    table = predictions_table(
        ["a", "b", "c"], ["1", "1", "2"], GRADES, {"att0": POOR, "att1": GOOD}, "att1"
    )
    assert list(table.columns) == [
        "file", "subject", "grade",
        *[f"{branch}_p{grade}" for branch in ("att0", "att1") for grade in range(5)],
        "prediction",
    ]  # fmt: skip
    assert table["prediction"].tolist() == [3, 0, 3]


def test_one_of_each_grade():
    assert one_of_each_grade(GRADES).tolist() == [1, 0]
