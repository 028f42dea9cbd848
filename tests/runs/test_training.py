"""A whole training and a resumed training, with TensorFlow's graphs as in a real run."""

import csv

import numpy as np
import pytest
from tiny_training import fit, stuck_model, tiny_model

from knee_attention.datasets.batches import KneeBatches


def interrupt_before_epoch(number):
    """`KneeBatches.start` that simulates Ctrl-C before the given epoch."""
    start = KneeBatches.start

    def interrupted(batches, epoch):
        if epoch == number:
            raise KeyboardInterrupt
        start(batches, epoch)

    return interrupted


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def test_history_holds_every_loss_and_accuracy(tmp_path):
    history, _ = fit(tmp_path, 2)
    assert [row["epoch"] for row in history] == [1, 2]
    for prefix in ("", "val_"):
        assert history[0][f"{prefix}loss"] == pytest.approx(
            history[0][f"{prefix}att0_loss"] + 0.8 * history[0][f"{prefix}att1_loss"], rel=1e-4
        )
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_att1_accuracy"]) for row in rows] == [
        row["val_att1_accuracy"] for row in history
    ]


def test_a_single_output_is_named_too(tmp_path):
    history, _ = fit(tmp_path, 1, outputs=["kl"])
    assert {"kl_loss", "kl_accuracy", "val_kl_loss", "val_kl_accuracy"} <= set(history[0])
    assert history[0]["val_kl_loss"] == history[0]["val_loss"]


def test_the_learning_rate_falls_after_two_bad_epochs_and_training_ends_after_three(tmp_path):
    history, _ = fit(tmp_path, 10, stuck_model())
    assert len(history) == 4
    rates = [row["learning_rate"] for row in history]
    np.testing.assert_allclose(rates, [1e-30, 1e-30, 1e-30, 1e-31], rtol=1e-3)


def test_adam_has_the_paper_s_betas():
    optimizer = tiny_model().optimizer
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)


@pytest.mark.parametrize(("augment", "schedule", "dropout"), [
    ("flips", "plateau", 0), ("strong", "cosine", 0.5),
])  # fmt: skip
def test_a_continued_training_equals_an_unbroken_one(
    tmp_path, monkeypatch, augment, schedule, dropout
):
    options = {"augment": augment, "schedule": schedule}
    unbroken, model = fit(tmp_path / "unbroken", 4, tiny_model(dropout=dropout), **options)
    monkeypatch.setattr(KneeBatches, "start", interrupt_before_epoch(2))
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", 4, tiny_model(dropout=dropout), **options)
    monkeypatch.undo()
    continued, again = fit(tmp_path / "broken", 4, tiny_model(dropout=dropout), **options)
    assert without_seconds(continued) == without_seconds(unbroken)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
