"""What lies in a run's folder, whatever the user's names are and whatever goes wrong."""

import csv
import dataclasses
import os

import pytest

from knee_attention.errors import InputError
from knee_attention.evidence.predictions import read_predictions
from knee_attention.experiment import Experiment, main
from knee_attention.files import read_json
from knee_attention.films.dataset import load_dataset

QUICK = Experiment(
    backbone="antony_clsf", image_size=(96, 96), epochs=1, batch_size=10, precision="float32"
)
ROW = {
    "epoch": 1, "seconds": 1.0, "val_loss": 1.0, "att0_loss": 1.0, "att0_accuracy": 0.2,
    "val_att0_loss": 1.0, "val_att0_accuracy": 0.2,
}  # fmt: skip


@pytest.fixture
def oddly_named(knee_folder):
    """A data folder whose name is a formula, a file that is no UTF-8, and a person called NA."""
    odd = os.fsdecode(b"test0\xff_R.png")
    (knee_folder / "test" / "0" / "test00R.png").rename(knee_folder / "test" / "0" / odd)
    with open(knee_folder / "manifest.csv", "w", newline="", errors="surrogateescape") as file:
        csv.writer(file).writerows([
            ("file", "subject"), (f"test/0/{odd}", "NA"), ("test/1/test10R.png", "null"),
        ])  # fmt: skip
    (knee_folder / "train" / "1" / os.fsdecode(b"damaged\xfe.png")).write_bytes(b"")
    return knee_folder.rename(knee_folder.with_name("knees_$1_$2_" + os.fsdecode(b"\xff")))


def test_any_name_is_read_and_written_as_it_is(oddly_named, tmp_path):
    folder = tmp_path / "run"
    main(QUICK, ["--data", str(oddly_named), "--output", str(folder)])
    assert (folder / "results.json").exists()
    assert read_json(folder / "experiment.json")["data"] == str(oddly_named)
    knees = load_dataset(oddly_named, (96, 96), wanted=("test",)).splits["test"]
    predictions = read_predictions(folder / "predictions.csv")
    assert os.fsdecode(b"test/0/test0\xff_R.png") in knees.files
    assert predictions.files == knees.files
    assert predictions.subjects == knees.subjects and {"NA", "null"} <= set(knees.subjects)
    unreadable = (folder / "unreadable.csv").read_bytes()
    assert b"damaged\xfe.png,the file is empty" in unreadable


def test_the_model_is_saved_before_anything_is_drawn(knee_folder, tmp_path):
    from knee_attention.networks.model import build_model
    from knee_attention.outcome import finish

    (tmp_path / "figures").write_text("")
    experiment = dataclasses.replace(QUICK, data=str(knee_folder))
    dataset = load_dataset(knee_folder, (96, 96))
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    with pytest.raises(InputError, match="figures cannot be written"):
        finish(experiment, model, dataset, [ROW], tmp_path)
    assert (tmp_path / "model.h5").exists() and (tmp_path / "predictions.csv").exists()
