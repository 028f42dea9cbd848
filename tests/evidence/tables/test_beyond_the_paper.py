"""Comparisons beyond the paper, and the weight search."""

from dataclasses import replace

import numpy as np
import pytest

from knee_attention.evidence.figures.heat_maps import heat_maps
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import ENSEMBLE, Predictions
from knee_attention.evidence.probabilities import ensemble
from knee_attention.evidence.tables import beyond_the_paper
from knee_attention.evidence.tables.findings import findings
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
SCORES = {"inside_over_outside": 2.5, "pointing_game": 0.5, "pointing_game_uniform": 0.1}


def training(seed, outputs=("att0",), expert=None, synthetic=False):
    """A training whose probabilities, and grades of phantoms, are those of a seed."""
    generator = np.random.default_rng(seed)
    grades = generator.integers(5, size=KNEES) if synthetic else np.arange(KNEES) % 5
    values = {
        output: generator.dirichlet(np.ones(5), KNEES) * 0.6 + 0.4 * np.eye(5)[grades]
        for output in outputs
    }
    files = [f"{knee // 2}{'RL'[knee % 2]}.png" for knee in range(KNEES)]
    known = Predictions(files, [name[:-5] for name in files], grades, values)
    results = {"chosen": outputs[-1], "synthetic": synthetic}
    return FinishedRun({"seed": seed}, results, {}, known, expert)


def test_deeper_branches_are_compared_where_both_were_trained():
    runs = {"vgg16_att0": [training(0)], "vgg16_att1": [training(1), training(2)]}
    pairs = beyond_the_paper.pairs_of({"vgg16": "VGG-16", "resnet50": "ResNet-50"})
    [row] = beyond_the_paper.comparisons(runs, pairs)
    deep, shallow = ([grade_metrics(one.predictions.grades, one.predictions.of("att0"))["accuracy"]
                      for one in runs[name]] for name in ("vgg16_att1", "vgg16_att0"))
    assert row[0] == "VGG-16: att1 alone - att0 alone"
    assert row[1].startswith(f"{np.mean(deep) - np.mean(shallow):+.3f} [")


def test_trainings_on_different_knees_are_compared_on_those_they_share():
    """As --limit draws them, by the seed."""
    odd = training(1)
    places = np.arange(0, KNEES, 2)
    other = FinishedRun(odd.experiment, odd.results, {}, odd.predictions.take(places), None)
    runs = {"vgg16_att0": [training(0), other], "vgg16_att1": [training(2)]}
    [row] = beyond_the_paper.comparisons(runs, beyond_the_paper.pairs_of({"vgg16": "VGG-16"}))
    assert row[1].count("[") == 1
    assert len(beyond_the_paper.ensemble_of_runs(runs["vgg16_att0"])) == len(places)


def test_a_run_beside_itself_differs_by_nothing():
    runs = {"one": [training(0)], "same": [training(0)]}
    pairs = {"one - same": ("one", "same"), "no": ("one", "none")}
    [row] = beyond_the_paper.comparisons(runs, pairs)
    assert row == ["one - same", "+0.000 [+0.000, +0.000]", "+0.000 [+0.000, +0.000]"]


def test_the_difference_between_runs_of_a_single_person_is_undefined():
    """As --limit 2 makes them."""
    runs = {
        name: [replace(one, predictions=one.predictions.take(np.arange(2)))]
        for name, one in (("first", training(0)), ("second", training(1)))
    }
    [row] = beyond_the_paper.comparisons(runs, {"first - second": ("first", "second")})
    assert row == ["first - second", "undefined", "undefined"]


def test_seeds_with_phantoms_of_their_own_are_neither_compared_nor_averaged():
    runs = {name: [training(seed, synthetic=True) for seed in (0, 1)] for name in ("net", "other")}
    assert beyond_the_paper.comparisons(runs, {"net - other": ("net", "other")}) == []
    assert findings(runs, {}, {"net": "A network"}, {"net - other": ("net", "other")}) == []
    alone = {name: trainings[:1] for name, trainings in runs.items()}
    assert len(beyond_the_paper.comparisons(alone, {"net - other": ("net", "other")})) == 1


def test_all_outputs_of_all_trainings_count_alike_in_their_ensemble():
    trainings = [training(seed, ("att0", "att1")) for seed in (0, 1)]
    members = [values for one in trainings for values in one.predictions.probabilities.values()]
    np.testing.assert_array_equal(
        beyond_the_paper.ensemble_of_runs(trainings).of(ENSEMBLE), ensemble(members)
    )


def test_a_regression_is_no_member():
    one = training(0, ("kl",))
    two = Predictions(**{**vars(one.predictions), "probabilities": {
        "kl": one.predictions.of("kl"), "regression": np.eye(5)[np.zeros(KNEES, int)]}})
    both = FinishedRun({}, {"chosen": "kl"}, {}, two, None)
    together = beyond_the_paper.ensemble_of_runs([both]).of(ENSEMBLE)
    np.testing.assert_allclose(together, one.predictions.of("kl"))


def test_rows_beyond_the_paper_say_what_they_are_made_of():
    trainings = [training(seed, ("att0", "att1")) for seed in range(3)]
    rows = beyond_the_paper.ensemble_rows("net", trainings)
    assert [row[0] for row in rows] == ["net, the chosen branch, mean of 3",
                                       "net, all branches, mean of 3", "net, all branches of all 3"]
    alone = np.mean([grade_metrics(one.predictions.grades, one.predictions.of("att1"))["accuracy"]
                     for one in trainings])
    assert rows[0][1] == f"{alone:.3f}"
    assert len(rows[2][4].split()) == 5


def test_rules_are_rows_of_the_same_columns():
    rows = beyond_the_paper.rules(beyond_the_paper.ensemble_of_runs([training(0), training(1)]))
    assert len(rows) == 3 and all(len(row) == 7 for row in rows)
    assert rows[0][5:] == ["", ""] and rows[1][5].startswith(("+", "-"))


def test_attention_is_shown_of_the_runs_that_were_asked():
    expert = {name: {"att0": SCORES} for name in ("exact", "widened", "averaged")}
    runs = {"asked": [training(0, expert=expert)], "other": [training(1)]}
    rows = beyond_the_paper.attention(runs)
    assert rows == [["a uniform mask", "1.00", "1.00", "10.0%", "1.00", ""],
                    ["asked: att0", "2.50", "2.50", "50.0%", "2.50", "50.0% (uniform 10.0%)"]]
    assert beyond_the_paper.attention({"other": [training(1)]}) == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_further_training_is_named_by_its_seed(count):
    expert = {name: {"att0": SCORES} for name in ("exact", "widened", "averaged")}
    trainings = [training(seed, expert=expert) for seed in range(count)]
    names = [row[0] for row in beyond_the_paper.attention({"net": trainings})[1:]]
    assert names == (["net: att0"] if count == 1 else ["net, seed 0: att0", "net, seed 1: att0"])


def test_audited_masks_are_shown_with_what_each_knee_s_own_has_more():
    def estimates(highest, energy, accuracy, **more):
        found = {"highest": {"value": highest}, "energy": {"value": energy},
                 "accuracy": {"value": accuracy}}  # fmt: skip
        return {name: estimate | more for name, estimate in found.items()}

    less = {"own_minus_this": {"value": 0.25, "interval": [0.125, 0.5]}}
    masks = {"own mask": estimates(0.75, 0.375, 0.5),
             "mean mask": estimates(0.5, 0.125, 0.25, **less),
             "uniform mask": estimates(0.0625, 0.04, 0.25)}  # fmt: skip
    no_mask = {"att1": {"no mask": {"accuracy": {"value": 0.5}}}}
    runs = {"shared": [replace(training(3), audit={"att1": masks})],
            "none": [replace(training(4), audit=no_mask)], "old": [training(5)]}  # fmt: skip
    difference = "+0.250 [+0.125, +0.500]"
    [row] = beyond_the_paper.audits(runs)
    assert row[:5] == ["shared, seed 3: att1", "0.750", "0.500", difference, "0.062"]
    assert row[5:8] == ["0.375", "0.125", "0.040"]
    assert row[8:] == ["0.500", "0.250", difference]


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
