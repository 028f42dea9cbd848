"""Trainings without graphs: what they print, their rates, and the state that they write and use."""

import sys

import h5py
import keras
import numpy as np
import pytest
from small_trainings import fit, stuck_model, tiny_batches, tiny_model

from knee_attention.errors import InputError
from knee_attention.runs import progress
from knee_attention.runs.experiment import Experiment, RunOptions
from knee_attention.runs.progress import Progress, duration
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.training import train

pytestmark = pytest.mark.usefixtures("eager")


def test_every_epoch_has_an_order_of_its_own(tmp_path):
    training, second = (tiny_batches(training=True) for _ in range(2))
    train(tiny_model(), training, tiny_batches(), Experiment(epochs=2), RunFolder(tmp_path))
    second.start(1)
    np.testing.assert_array_equal(training.order, second.order)


def test_a_training_that_stopped_early_stays_stopped(tmp_path):
    first, model = fit(tmp_path, 10, stuck_model())
    second, again = fit(tmp_path, 10, stuck_model())
    assert second == first
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("done", [2, 3])
def test_patience_is_counted_across_a_break(tmp_path, done):
    fit(tmp_path, done, stuck_model())
    history, _ = fit(tmp_path, 10, stuck_model())
    rates = [row["learning_rate"] for row in history]
    np.testing.assert_allclose(rates, [1e-30, 1e-30, 1e-30, 1e-31], rtol=1e-3)


def test_a_damaged_state_is_refused(tmp_path):
    fit(tmp_path, 1)
    with h5py.File(tmp_path / "checkpoint.h5", "a") as file:
        del file["history"]
        file["history"] = h5py.ExternalLink("other.h5", "history")
    with pytest.raises(InputError, match="history lies in another file"):
        fit(tmp_path, 2)
    (tmp_path / "checkpoint.h5").write_bytes(b"damaged")
    with pytest.raises(InputError, match="start again with --overwrite"):
        fit(tmp_path, 2)


def test_a_loss_that_is_no_number_ends_training_and_the_last_good_state_stays(tmp_path):
    good, _ = fit(tmp_path, 1)
    before = (tmp_path / "checkpoint.h5").read_bytes()
    for _ in range(2):  # the same command again meets the same end
        model = tiny_model()
        model.get_layer("att0").kernel.regularizer = lambda kernel: kernel[0, 0] * np.nan
        with pytest.raises(InputError, match="epoch 2: the loss is not finite"):
            fit(tmp_path, 3, model)
        assert (tmp_path / "checkpoint.h5").read_bytes() == before
    again, _ = fit(tmp_path, 1)
    assert again == good


def test_a_validation_loss_that_is_no_number_is_not_kept_either(tmp_path):
    training, validation = tiny_batches(training=True), tiny_batches()
    with pytest.raises(InputError, match="epoch 1: the loss is not finite"):
        diverging = tiny_model(learning_rate=1e38)
        train(diverging, training, validation, Experiment(epochs=2), RunFolder(tmp_path))
    assert not (tmp_path / "checkpoint.h5").exists()


def test_a_full_disk_is_reported_and_the_last_good_state_stays(tmp_path, full_disk):
    fit(tmp_path, 1)
    before = (tmp_path / "checkpoint.h5").read_bytes()
    with full_disk(1000):
        with pytest.raises(InputError, match="checkpoint.h5 cannot be written: File too large"):
            fit(tmp_path, 2)
    assert (tmp_path / "checkpoint.h5").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.h5", "history.csv"}


def test_a_lost_history_comes_back_from_the_state(tmp_path):
    fit(tmp_path, 3, stuck_model())
    written = (tmp_path / "history.csv").read_text()
    (tmp_path / "history.csv").unlink()
    fit(tmp_path, 3, stuck_model())
    assert (tmp_path / "history.csv").read_text() == written


def test_a_state_of_another_precision_is_refused(tmp_path):
    fit(tmp_path, 1)
    model = tiny_model()
    model.optimizer = keras.optimizers.LossScaleOptimizer(model.optimizer)
    with pytest.raises(InputError, match="start again with --overwrite"):
        fit(tmp_path, 2, model)


def test_tensorboard_gets_every_epoch_once_also_of_a_continued_training(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    for epochs in (2, 3):
        experiment, run = Experiment(epochs=epochs), RunFolder(tmp_path)
        history = train(tiny_model(), tiny_batches(training=True), tiny_batches(), experiment, run,
                        tensorboard=True)  # fmt: skip
    for split, prefix in (("train", ""), ("validation", "val_")):
        shown = EventAccumulator(str(run.tensorboard / split)).Reload()
        for name in ("loss", "att1_loss", "att0_accuracy"):
            points = shown.Tensors(f"epoch_{name}")
            assert [point.step for point in points] == [0, 1, 2]
            values = [float(make_ndarray(point.tensor_proto)) for point in points]
            np.testing.assert_allclose(values, [row[f"{prefix}{name}"] for row in history])


def test_without_tensorboard_the_option_is_refused_with_the_command_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert not RunOptions().tensorboard
    with pytest.raises(InputError, match=r'pip install -e "\.\[tensorboard\]" in the clone'):
        RunOptions(tensorboard=True)


def test_the_cosine_falls_from_the_first_rate_to_nothing(tmp_path):
    history, _ = fit(tmp_path, 4, schedule="cosine")
    rates = [row["learning_rate"] for row in history]
    assert rates == pytest.approx([0.01, 0.01 * 0.853553, 0.005, 0.01 * 0.146447], rel=1e-4)


def test_patience_multiplies_both_waits(tmp_path):
    history, _ = fit(tmp_path, 10, stuck_model(), patience=2)
    assert len(history) == 7
    rates = [row["learning_rate"] for row in history]
    np.testing.assert_allclose(rates, [1e-30] * 5 + [1e-31] * 2, rtol=1e-3)


@pytest.mark.parametrize("stops", [(4,), (2, 4)], ids=["unbroken", "continued"])
def test_the_best_weights_come_back(tmp_path, stops):
    """Validation has other grades for the same pictures, so training increases its loss."""
    training, validation = tiny_batches(training=True), tiny_batches()
    validation.knees.grades[:] = (validation.knees.grades + 1) % 5
    for epochs in stops:
        model = tiny_model(learning_rate=0.1)
        history = train(model, training, validation, Experiment(epochs=epochs), RunFolder(tmp_path))
    best = min(row["val_loss"] for row in history)
    assert history[-1]["val_loss"] > best
    measured = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
    assert measured == pytest.approx(best, rel=1e-4)


def test_moving_statistics_are_the_letter_of_the_paper(tmp_path):
    precise, _ = fit(tmp_path / "precise", 1)
    moving, _ = fit(tmp_path / "moving", 1, batch_norm="moving")
    assert precise[0]["loss"] == moving[0]["loss"]
    assert precise[0]["val_loss"] < moving[0]["val_loss"]


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


def test_a_long_epoch_prints_a_line_a_minute(capsys, monkeypatch):
    now = iter(range(0, 1000, 25))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    shown = Progress(epochs=1)
    shown.begin_epoch(steps=9)
    for _ in range(4):
        shown.end_step(1.5)
    assert capsys.readouterr().out == "epoch 1/1: step 2 of 9, ends in 3 min\n"


@pytest.mark.parametrize(("seconds", "words"), [
    (0.44, "0.4 s"), (9.96, "10 s"), (99.4, "99 s"), (99.6, "2 min"), (5969, "99 min"),
    (5971, "1.7 h"),
])  # fmt: skip
def test_a_duration_has_few_digits(seconds, words):
    assert duration(seconds) == words
