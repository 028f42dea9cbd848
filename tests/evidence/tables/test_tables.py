"""Table 1, Table 2, related systems, and the weight search."""

import numpy as np
import pytest

from knee_attention.evidence.figures.heat_maps import heat_maps
from knee_attention.evidence.finished_run import FinishedRun, split_results
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.evidence.tables import common, related, table1, table2
from knee_attention.evidence.tables.weight_search import (
    PAPER_CHOICE,
    best_of,
    grid_of,
    measures,
    paragraph,
    sentence,
    weight_table,
)

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


GRADES = np.arange(KNEES) % 5
FILES = [f"{knee // 2}{'RL'[knee % 2]}.png" for knee in range(KNEES)]


def classified(right):
    """Probabilities that grade the first knees right and the others one grade off."""
    predicted = np.where(np.arange(KNEES) < right, GRADES, (GRADES + 1) % 5)
    return np.eye(5)[predicted] * 0.5 + 0.1


def table2_training(probabilities, parameters):
    known = Predictions(FILES, [name[:-5] for name in FILES], GRADES, probabilities)
    chosen = next(iter(probabilities))
    results = {"chosen": chosen, "parameters": parameters, "split": "test"}
    results["test"] = split_results(known)
    return FinishedRun({}, results, {"wall_seconds": 60}, known, None)


@pytest.fixture(scope="module")
def finished_trainings():
    regression = as_probabilities((GRADES + 0.6)[:, np.newaxis])
    return {
        ("vgg16", "multiloss"): [
            table2_training({"att0": classified(50), "att1": classified(40)}, 7)
        ],
        ("antony_joint_baseline", "baseline"): [
            table2_training({"kl": classified(30), "regression": regression}, 4)
        ],
    }


def test_every_output_has_a_row_with_the_paper_s_where_it_reports_one(finished_trainings):
    table = table2.rows(finished_trainings)
    assert list(table["output"]) == ["kl", "regression", "att0", "att1"]
    assert table["accuracy"].tolist() == pytest.approx([0.5, 12 / 60, 50 / 60, 40 / 60])
    assert table["paper"].dropna().tolist() == [0.6229, 0.643]
    assert table["paper_parameters"].dropna().tolist() == [5.77e6, 7.7e6]


def test_the_loss_of_a_regression_is_its_squared_error(finished_trainings):
    joint = table2.rows(finished_trainings).set_index("output")
    inside = np.minimum(GRADES + 0.6, 4) - GRADES
    assert joint["loss"]["regression"] == pytest.approx(np.mean(inside**2))
    text = table2.as_text(table2.rows(finished_trainings)).set_index("output")
    assert text["loss"]["regression"].endswith("(squared error)")
    assert text["paper, millions"].tolist() == ["5.77", "", "7.70", ""]


def test_the_claim_is_a_paired_difference(finished_trainings):
    [claim, _] = table2.claims(finished_trainings)
    assert "classification and regression: +0.333" in claim
    assert claim.endswith("better (trainings: 1 against 1)")


def test_related_systems_are_compared_with_multi_loss(finished_trainings):
    """Sizes may differ between networks; regressions and other tables' networks have rows too."""
    tiulpin = [table2_training({"kl": classified(30)}, 1)]
    runs = {("tiulpin", "baseline"): tiulpin, **finished_trainings}
    for key, [run] in runs.items():
        run.experiment["image_size"] = [300, 300] if key[0] == "tiulpin" else [112, 112]
    table = related.rows(runs)
    joint = "antony_joint_baseline"
    assert table["backbone"].tolist() == ["vgg16", "vgg16", "tiulpin", joint, joint]
    text = related.as_text(table)
    assert text["pixels"].tolist() == ["112x112", "112x112", "300x300", "112x112", "112x112"]
    tiulpin, joint = related.claims(runs)
    assert "Tiulpin et al. 2018: +0.333" in tiulpin and "Antony joint" in joint


NOBODY = Predictions([], [], np.zeros(0, int), {})


def trained(weights, losses, accuracies, seed=0):
    validation = {
        branch: {"cross_entropy": loss, "accuracy": accuracy}
        for branch, loss, accuracy in zip(("att0", "att1"), losses, accuracies, strict=True)
    }
    experiment = {"branches": ["att0", "att1"], "loss_weights": list(weights), "seed": seed}
    return FinishedRun(experiment, {"validation": validation}, {}, NOBODY, None)


@pytest.fixture
def table():
    return weight_table([
        trained((1.0, 0.8), (1.0, 0.9), (0.50, 0.55)),
        trained((1.0, 0.8), (1.2, 1.1), (0.40, 0.45), seed=1),
        trained((0.5, 0.8), (0.9, 1.3), (0.58, 0.30)),
        trained((0.5, 0.5), (1.5, 1.6), (0.20, 0.10)),
    ])


def test_a_row_has_the_weighted_sum_and_each_branch_s_own_measures(table):
    row = table.set_index(["w0", "w1", "seed"]).loc[(1.0, 0.8, 0)]
    assert row["weighted_loss"] == pytest.approx(1.0 + 0.8 * 0.9)
    assert (row["att0_loss"], row["att1_accuracy"]) == (1.0, 0.55)
    assert row["accuracy"] == 0.55  # of att1, whose loss is the lower one
    assert len(table) == 4


def test_the_best_cell_is_that_of_the_mean_over_seeds(table):
    assert best_of(table, "att0_loss") == [(0.5, 0.8)]
    assert best_of(table, "att1_loss") == [(1.0, 0.8)]
    assert best_of(table, "accuracy") == [(0.5, 0.8)]
    tied = table.assign(accuracy=0.4)
    assert len(best_of(tied, "accuracy")) == len(table.groupby(["w0", "w1"]))
    assert ", and at " in sentence(tied, "accuracy")
    grid = grid_of(table, "att1_loss")
    assert list(grid.index) == [0.8, 0.5] and list(grid.columns) == [0.5, 1.0]
    assert grid.loc[0.8, 1.0] == pytest.approx(1.0) and np.isnan(grid.loc[0.5, 1.0])


def test_the_paragraph_weighs_seeds_against_weights(table):
    said = paragraph(table)
    assert "best validation att0 loss is 0.900, at w0 0.5 and w1 0.8" in said
    assert "the paper's 1.0 and 0.8 have 1.100, a difference of 0.200" in said
    assert "over seeds" in said and "With one seed" not in said
    assert "With one seed" in paragraph(table[table["seed"] == 0])


def test_the_best_weights_are_given_with_all_their_digits(table):
    close = table.assign(w0=table["w0"].replace({0.5: 0.1234561}))
    assert "at w0 0.1234561 and w1 0.8" in sentence(close, "att0_loss")


def test_heat_maps_of_an_unfinished_grid_are_drawn(table, tmp_path):
    grids = {measure: grid_of(table, measure) for measure in measures(table)}
    heat_maps(grids, PAPER_CHOICE, "a title", tmp_path / "search.png")
    assert (tmp_path / "search.png").stat().st_size > 10_000
