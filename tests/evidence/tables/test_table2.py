"""Table 2: ours beside the paper's, both outputs of the joint network, and the claim."""

import numpy as np
import pytest

from knee_attention.evidence.evaluation import split_results
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.evidence.tables import table2

KNEES = 60
GRADES = np.arange(KNEES) % 5
FILES = [f"{knee // 2}{'RL'[knee % 2]}.png" for knee in range(KNEES)]


def classified(right):
    """Probabilities that grade the first knees right and the others one grade off."""
    predicted = np.where(np.arange(KNEES) < right, GRADES, (GRADES + 1) % 5)
    return np.eye(5)[predicted] * 0.5 + 0.1


def training(probabilities, parameters):
    known = Predictions(FILES, [name[:-5] for name in FILES], GRADES, probabilities)
    chosen = next(iter(probabilities))
    results = {"chosen": chosen, "parameters": parameters, "split": "test"}
    results["test"] = split_results(known)
    return FinishedRun({}, results, {"wall_seconds": 60}, known, None)


@pytest.fixture(scope="module")
def finished():
    regression = as_probabilities((GRADES + 0.6)[:, np.newaxis])
    return {
        ("vgg16", "multiloss"): [training({"att0": classified(50), "att1": classified(40)}, 7)],
        ("antony_joint_baseline", "baseline"): [
            training({"kl": classified(30), "regression": regression}, 4)
        ],
    }


def test_every_output_has_a_row_with_the_paper_s_where_it_reports_one(finished):
    table = table2.rows(finished)
    assert list(table["output"]) == ["kl", "regression", "att0", "att1"]
    assert table["accuracy"].tolist() == pytest.approx([0.5, 12 / 60, 50 / 60, 40 / 60])
    assert table["paper"].dropna().tolist() == [0.6229, 0.643]
    assert table["paper_parameters"].dropna().tolist() == [5.77e6, 7.7e6]


def test_the_loss_of_a_regression_is_its_squared_error(finished):
    joint = table2.rows(finished).set_index("output")
    inside = np.minimum(GRADES + 0.6, 4) - GRADES
    assert joint["loss"]["regression"] == pytest.approx(np.mean(inside**2))
    text = table2.as_text(table2.rows(finished)).set_index("output")
    assert text["loss"]["regression"].endswith("(squared error)")
    assert text["paper, millions"].tolist() == ["5.77", "", "7.70", ""]


def test_the_claim_is_a_paired_difference(finished):
    [claim, _] = table2.claims(finished)
    assert "classification and regression: +0.333" in claim
    assert claim.endswith("better (trainings: 1 against 1)")
