"""The search for loss weights: which cell is best, and what it is worth."""

import numpy as np
import pytest

from knee_attention.evidence.figures.heat_maps import heat_maps
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.tables.weight_search import (
    PAPER_CHOICE,
    best_of,
    grid_of,
    measures,
    paragraph,
    sentence,
    weight_table,
)

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
