import numpy as np
import pytest

from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.tables import common, table1

KNEES = 60


def training(backbone, variant, right, outputs=("att0",), chosen=None, files=None, attention=None):
    """A training that grades the first `right[output]` knees right and the rest one grade off."""
    grades = np.arange(KNEES) % 5
    files = files or [f"{knee // 2}{'RL'[knee % 2]}.png" for knee in range(KNEES)]
    probabilities = {}
    for output in outputs:
        predicted = np.where(np.arange(KNEES) < right[output], grades, (grades + 1) % 5)
        probabilities[output] = np.eye(5)[predicted] * 0.5 + 0.1
    chosen = chosen or outputs[0]
    results = {
        "backbone": backbone, "variant": variant, "chosen": chosen, "parameters": 1000,
        "validation": {output: {"cross_entropy": 1 - right[output] / KNEES} for output in outputs},
    }  # fmt: skip
    if attention:
        results["localisation"] = {"att0": {"inside_over_outside": attention}}
    subjects = [name[:-5] for name in files]
    predictions = Predictions(files, subjects, grades, probabilities)
    return FinishedRun({}, results, {"wall_seconds": 120}, predictions, None)


def single(right, **more):
    return training("vgg16", "att0", {"att0": right}, **more)


def test_a_row_is_the_mean_over_trainings_beside_the_paper():
    table = table1.rows({("vgg16", "att0"): [single(30), single(36), single(42)]})
    [row] = table.to_dict("records")
    assert row["accuracy"] == pytest.approx(0.6) and row["trainings"] == 3
    assert row["spread"] == pytest.approx(0.1)
    assert row["paper"] == 0.622 and row["difference"] == pytest.approx(-0.022)
    assert row["low"] < 0.6 < row["high"]
    assert row["attention"] is None or np.isnan(row["attention"])


def test_one_training_has_the_interval_of_its_predictions_and_no_spread():
    one = single(30, attention=1.7)
    [row] = table1.rows({("vgg16", "att0"): [one]}).to_dict("records")
    known = one.predictions
    interval = bootstrap_intervals(known.grades, known.of("att0"), known.subjects)["accuracy"]
    assert [row["low"], row["high"]] == interval
    assert row["spread"] is None and row["attention"] == 1.7


def test_trainings_on_other_knees_have_a_mean_but_no_interval():
    others = [f"x{knee}.png" for knee in range(KNEES)]
    table = table1.rows({("vgg16", "att0"): [single(30), single(36, files=others)]})
    assert table["accuracy"][0] == pytest.approx(0.55) and table["low"].isna().all()


def test_trainings_on_other_knees_get_a_note():
    others = single(36, files=[f"x{knee}.png" for knee in range(KNEES)])
    others.results["name"] = "vgg16_att0"
    [note] = table1.claims({("vgg16", "att0"): [others, single(30)]})
    assert note.startswith("no interval and no comparison of vgg16_att0: the trainings have")


def test_the_mean_over_equal_trainings_has_the_interval_of_one():
    known = single(30).predictions
    one = bootstrap_intervals(known.grades, known.of("att0"), known.subjects)
    three = bootstrap_intervals(known.grades, np.stack([known.of("att0")] * 3), known.subjects)
    for name in ("accuracy", "kappa_quadratic", "oa_auc"):
        np.testing.assert_allclose(three[name], one[name], atol=1e-12)


def test_claims_compare_what_validation_chose():
    multi = training("vgg16", "multiloss", {"att0": 50, "att1": 58}, ("att0", "att1"), "att1")
    finished = {
        ("vgg16", "multiloss"): [multi],
        ("vgg16", "att0"): [single(30)],
        ("vgg16", "att1"): [training("vgg16", "att1", {"att1": 20}, ("att1",))],
        ("vgg16", "early_fusion"): [training("vgg16", "early_fusion", {"kl": 58}, ("kl",))],
    }
    fusion, branch = table1.claims(finished)
    assert "early fusion: +0.000" in fusion and "no significant difference" in fusion
    assert "single branch, att0: +0.467" in branch
    assert branch.endswith("better (trainings: 1 against 1)")
    assert table1.claims({("vgg16", "multiloss"): [multi]}) == []


def test_the_text_has_no_empty_columns_and_marks_the_variant():
    multi = training("vgg16", "multiloss", {"att0": 50, "att1": 58}, ("att0", "att1"), "att1")
    text = table1.as_text(table1.rows({("vgg16", "multiloss"): [multi]}))
    assert list(text["branch"]) == ["multi-loss att0", "multi-loss att1"]
    assert "on / off joint" not in text and "± trainings" not in text
    assert text["paper, %"][0] == "64.3" and text["difference"][0] == "+19.0"
    lines = common.as_markdown("heading", text, ["a note"]).splitlines()
    cells = [line for line in lines if line.startswith("|")]
    assert len(cells) == 4 and len({line.count("|") for line in cells}) == 1
    assert lines[0] == "heading" and lines[-1] == "- a note"
    few = common.few_columns(text)
    assert list(few) == ["model", "branch", "accuracy, %", "paper, %", "quadratic"]
    html = common.as_html("Table 1", "a < b", text, ["a note"])
    assert html.count("<tr>") == 3 and "a &lt; b" in html


def test_no_finished_run_is_an_empty_table():
    assert table1.as_text(table1.rows({})).empty
