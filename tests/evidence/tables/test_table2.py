"""Table 2: ours beside the paper's, both outputs, and the claim; the table of related systems."""

import numpy as np
import pytest

from knee_attention.evidence.evaluation import split_results
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.evidence.tables import related, table2

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


def test_related_systems_are_compared_with_multi_loss(finished):
    """Sizes may differ between networks; regressions and other tables' networks have rows too."""
    runs = {("tiulpin", "baseline"): [training({"kl": classified(30)}, 1)], **finished}
    for key, [run] in runs.items():
        run.experiment["image_size"] = [300, 300] if key[0] == "tiulpin" else [112, 112]
    table = related.rows(runs)
    joint = "antony_joint_baseline"
    assert table["backbone"].tolist() == ["vgg16", "vgg16", "tiulpin", joint, joint]
    text = related.as_text(table)
    assert text["pixels"].tolist() == ["112x112", "112x112", "300x300", "112x112", "112x112"]
    tiulpin, joint = related.claims(runs)
    assert "Tiulpin et al. 2018: +0.333" in tiulpin and "Antony joint" in joint
