import numpy as np

from knee_attention.evidence.evaluation import better_branch, one_of_each_grade, split_results
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.predictions import Predictions

GRADES = np.array([3, 0, 3])
GOOD = np.eye(5)[GRADES] * 0.8 + 0.04
POOR = np.full((3, 5), 0.2)
SUBJECTS = ["1", "1", "2"]


def predictions(**probabilities):
    return Predictions(["a", "b", "c"], SUBJECTS, GRADES, probabilities)


def test_the_better_branch_has_the_lower_cross_entropy():
    assert better_branch(predictions(att0=POOR, att1=GOOD)) == "att1"


def test_several_branches_have_an_ensemble_and_one_has_none():
    assert list(split_results(predictions(att0=POOR, att1=GOOD))) == ["att0", "att1", "ensemble"]
    assert list(split_results(predictions(kl=GOOD))) == ["kl"]


def test_every_output_has_its_intervals_over_persons():
    results = split_results(predictions(att0=POOR, att1=GOOD))
    assert results["att0"]["intervals"] == bootstrap_intervals(GRADES, POOR, SUBJECTS)
    assert results["ensemble"]["intervals"]["accuracy"] == [1.0, 1.0]


def test_one_of_each_grade():
    assert one_of_each_grade(GRADES).tolist() == [1, 0]
