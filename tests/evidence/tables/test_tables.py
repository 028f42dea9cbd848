"""Table 1 with its bands, Table 2, and related systems."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knee_attention.evidence.finished_run import FinishedRun, split_results
from knee_attention.evidence.intervals import bootstrap_intervals
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.evidence.tables import bands, common, related, table1, table2

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


def seeded(right, seed, **options):
    """A training on a data set, with a seed and options; `right` of its grades are right."""
    experiment = {"seed": seed, "data": "/data/set", "epochs": 30, **options}
    one = replace(single(right), experiment=experiment)
    one.results.update(name="vgg16_att0", synthetic=False, split="validation")
    return one


def test_a_band_is_the_prediction_interval_of_one_further_training():
    runs = {"many": [seeded(right, seed) for seed, right in enumerate((30, 36, 42))],
            "one": [seeded(48, 0)]}  # fmt: skip
    found = bands.bands(bands.measured(runs), "accuracy")
    many, one = found.loc["many", "att0"], found.loc["one", "att0"]
    reach = 4.303 * 0.1 * np.sqrt(4 / 3)  # t of 2 degrees of freedom, from a printed table
    assert many[["mean", "std", "count"]].tolist() == pytest.approx([0.6, 0.1, 3])
    assert [many.low, many.high] == pytest.approx([0.6 - reach, 0.6 + reach], abs=1e-4)
    reach = 4.303 * 0.1 * np.sqrt(2)  # the pooled spread, here that of `many`
    assert [one.low, one.high] == pytest.approx([0.8 - reach, 0.8 + reach], abs=1e-4)
    alone = bands.measured({"one": runs["one"]})
    assert np.isnan(one["std"]) and bands.bands(alone, "accuracy").empty


def test_experiments_share_their_spread_by_degrees_of_freedom():
    runs = {"three": [seeded(right, 0) for right in (30, 36, 42)],
            "two": [seeded(right, 0) for right in (30, 30)], "one": [seeded(48, 0)]}  # fmt: skip
    one = bands.bands(bands.measured(runs), "accuracy").loc["one", "att0"]
    pooled = 0.1 * np.sqrt(2 / 3)
    assert one.high == pytest.approx(0.8 + 3.182 * pooled * np.sqrt(2), abs=1e-4)
    text = bands.band_text(bands.measured(runs))
    assert f"{pooled:.3f} of accuracy with 3 degrees of freedom" in text
    assert f"±{1.96 * np.sqrt(0.6 * 0.4 / KNEES):.3f}" in text  # the mean accuracy is 0.6


def test_a_metric_that_is_undefined_has_no_band():
    runs = {"one": [
        replace(one, predictions=one.predictions.take(np.arange(1)))
        for one in (seeded(30, 0), seeded(30, 1))
    ]}  # fmt: skip
    [row] = bands.band_rows(bands.measured(runs))
    assert row == ["one", "att0", "2", "1.000 ± 0.000", "1.000 to 1.000", "", ""]


def marked(*trainings):
    """The row of these trainings beside a published band of 0.55 to 0.64."""
    published = {"vgg16_att0": [seeded(right, seed) for seed, right in enumerate((35, 36, 36))]}
    finished = {("vgg16", "att0"): list(trainings)}
    table = bands.with_bands(table1.rows(finished), finished, published)
    return table.iloc[0], table1.as_text(table)


def test_a_rerun_outside_of_its_band_is_marked_with_its_seed():
    row, text = marked(seeded(36, 3), seeded(20, 4))
    assert row["band_low"] < 0.6 < row["band_high"] and row["outside"] == "4"
    assert text["published band, %"][0].endswith(", OUTSIDE: seed 4")
    row, text = marked(seeded(36, 3))
    assert row["outside"] == "" and "OUTSIDE" not in text["published band, %"][0]


def test_only_a_run_of_the_same_knees_and_options_has_a_band():
    other_knees = replace(seeded(20, 3), predictions=single(
        20, files=[f"x{knee}.png" for knee in range(KNEES)]).predictions)  # fmt: skip
    for other in (other_knees, seeded(20, 3, epochs=1)):
        row, text = marked(other)
        assert row["band_low"] is None and "published band, %" not in text
    files = [f"val/{Path(file).stem}.webp" for file in seeded(20, 3).predictions.files]
    renamed = single(20, files=files).predictions
    again = replace(seeded(20, 3, data="/elsewhere"), predictions=renamed)
    row, _ = marked(again)  # neither the place nor the format of the images matters
    assert row["outside"] == "3"


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
    assert table["oa_auc"].isna().tolist() == [False] * 4 + [True]  # that of a regression
    text = related.as_text(table)
    assert text["pixels"].tolist() == ["112x112", "112x112", "300x300", "112x112", "112x112"]
    tiulpin, joint = related.claims(runs)
    assert "Tiulpin et al. 2018: +0.333" in tiulpin and "Antony joint" in joint
