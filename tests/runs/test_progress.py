"""What a training prints while it runs."""

import io
import sys
import time

import pytest
from tiny_training import fit

from knee_attention.runs import progress
from knee_attention.runs.progress import Progress, duration


@pytest.mark.usefixtures("eager")
def test_a_log_has_one_line_an_epoch_with_each_loss_once(tmp_path, capsys):
    fit(tmp_path, 2)
    fit(tmp_path, 3)
    estimate, first, second, resumed, third = capsys.readouterr().out.splitlines()
    assert estimate.startswith("an epoch takes about ") and ", 2 epochs " in estimate
    assert first.startswith("epoch 1/2 (") and " left" in first
    assert first.count("loss") == 2 and "accuracy att0 0." in first and " att1 0." in first
    assert second.startswith("epoch 2/2 (") and " left" not in second
    assert resumed == "resuming after epoch 2" and third.startswith("epoch 3/3 (")


def test_the_first_steps_are_enough_to_say_how_long_all_will_take(capsys, monkeypatch):
    now = iter(range(0, 1000, 2))  # each look at the clock is two seconds after the last
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    shown = Progress(epochs=30)
    shown.begin_epoch(steps=100)
    for _ in range(5):
        shown.end_step(1.5)
    assert capsys.readouterr().out == "an epoch takes about 3 min, 30 epochs 1.7 h\n"


def test_a_log_hears_from_a_long_step_and_the_thread_ends_with_the_training(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SILENCE", 0.02)
    monkeypatch.setattr(sys, "stdout", log := io.StringIO())
    with pytest.raises(KeyboardInterrupt):
        with Progress(epochs=1).shown():
            time.sleep(0.2)
            raise KeyboardInterrupt
    said = log.getvalue()
    assert "preparing the first epoch\n" in said
    time.sleep(0.1)
    assert log.getvalue() == said


@pytest.mark.parametrize(("seconds", "words"), [
    (0.44, "0.4 s"), (9.96, "10 s"), (99.4, "99 s"), (99.6, "2 min"), (5969, "99 min"),
    (5971, "1.7 h"),
])  # fmt: skip
def test_a_duration_has_few_digits(seconds, words):
    assert duration(seconds) == words
