"""Devices: their description and precision; several share the batches with the same results."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from stand_ins import EXPERIMENTS

from knee_attention import device
from knee_attention.commands.scripts.experiment import main
from knee_attention.commands.scripts.tables import main as tables
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.device import find_devices, refuse_uneven
from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment

SHARED = Path(__file__).with_name("shared_training.py")
LARGEST_DIFFERENCE = 3e-5
"""Rounding in float32 of losses of about 3. JAX on a CPU without AVX-512 reached 1.25e-5."""

COMMAND = """
import sys

sys.path.insert(0, sys.argv[1])
from shared_training import EXPERIMENT, two_devices

two_devices()
from knee_attention.commands.scripts.experiment import main

main(EXPERIMENT, sys.argv[2:])
"""


def ended_well(*command):
    """The output of a Python process with this backend."""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(),
                   "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    command = [sys.executable, *map(str, command)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", ["precise", "moving"])
def test_ten_steps_by_two_devices_are_those_of_one(tmp_path, batch_norm):
    """The last batch of each epoch is smaller. The training with precise statistics is resumed."""
    found = json.loads(ended_well(SHARED, tmp_path, batch_norm).splitlines()[-1])
    assert found.pop("same names") and not found.pop("synchronized")
    assert set(found) == {"losses", "probabilities", "masks", "trainable", "statistics"}
    assert max(found.values()) < LARGEST_DIFFERENCE, found


@pytest.mark.slow
def test_a_run_says_how_many_devices_it_had_and_finds_the_same(tmp_path):
    options = ["--limit", 15, "--epochs", 1, "--image-size", 64, 64, "--batch-size", 4,
               "--precision", "float32", "--learning-rate", 1e-5]  # fmt: skip
    folders = [tmp_path / "two", tmp_path / "one"]
    for folder, devices, shared in zip(folders, ("all", 1), (True, False), strict=True):
        said = ended_well("-c", COMMAND, SHARED.parent, "--output", folder, "--devices", devices,
                          *options)  # fmt: skip
        assert ("batches shared by 2 devices" in said) is shared
        environment = json.loads((folder / "environment.json").read_text())
        assert environment["devices"] == (2 if shared else 1)
    two, one = (json.loads((folder / "results.json").read_text()) for folder in folders)
    assert two["parameters"] == one["parameters"] and two["knees"] == one["knees"]
    for split in ("validation", "test"):
        for output in ("att0", "att1", "ensemble"):
            losses = [results[split][output]["cross_entropy"] for results in (two, one)]
            assert losses[0] == pytest.approx(losses[1], abs=LARGEST_DIFFERENCE)
    held = [json.loads((folder / "experiment.json").read_text()) for folder in folders]
    assert held[0] == held[1]


@pytest.mark.parametrize(
    ("count", "devices", "times"), [(6, 2, 1), (5, 2, 2), (1, 4, 4), (6, 4, 2)]
)
def test_an_uneven_batch_holds_every_knee_equally_often(count, devices, times):
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1)
    knees = Knees(images, np.arange(count) % 5, [], [])
    [(shown, grades, weights)] = KneeBatches(knees, ["att0"], 8, devices=devices)
    assert len(shown) % devices == 0
    assert np.bincount(shown.ravel()).tolist() == [times] * count
    np.testing.assert_array_equal(shown.ravel() % 5, grades["att0"])
    np.testing.assert_allclose(weights, 1 / times)


def test_one_device_gets_batches_without_weights():
    knees = Knees(np.zeros((3, 1, 1), np.uint8), np.zeros(3, int), [], [])
    assert [len(batch) for batch in KneeBatches(knees, ["att0"], 2)] == [2, 2]


def test_all_and_none_are_counted():
    there = find_devices("all")
    assert there and find_devices(None) == there[:1] == find_devices(1)
    with pytest.raises(InputError, match=f"--devices {len(there) + 1}: .* has only"):
        find_devices(len(there) + 1)


@pytest.mark.parametrize(
    ("batch_size", "devices", "message"),
    [(4, 8, "4 knees is too small for 8 devices"), (64, 3, "64 knees cannot be divided evenly")],
)
def test_a_batch_that_devices_cannot_share_is_refused(batch_size, devices, message):
    refuse_uneven(8, 8)
    with pytest.raises(InputError, match=message):
        refuse_uneven(batch_size, devices)


@pytest.mark.parametrize("devices", ["1000", "0", "-1", "some"])
@pytest.mark.parametrize("command", ["experiment", "table1"])
def test_devices_that_are_not_there_are_one_sentence(tmp_path, capsys, command, devices):
    options = ["--devices", devices, "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as ended:
        if command == "experiment":
            main(Experiment(), options)
        else:
            tables("table1", [EXPERIMENTS / "run_vgg16_att0.py"], options)
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 2 and "Traceback" not in said
    assert not (tmp_path / "run").exists()
    assert ("--devices 1000" if devices == "1000" else "--devices") in said


@pytest.mark.parametrize(
    ("backend", "bfloat16", "chosen"),
    [("tensorflow", True, "mixed_bfloat16"), ("tensorflow", False, "float32"),
     ("jax", True, "float32"), ("jax", False, "float32")],
)  # fmt: skip
def test_bfloat16_on_a_processor_is_left_to_tensorflow(monkeypatch, backend, bfloat16, chosen):
    monkeypatch.setattr(device, "gpus", lambda: [])
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    assert device.choose_precision("auto") == chosen
    assert device.choose_precision("mixed_bfloat16") == "mixed_bfloat16"
    assert (device.usable_precision("mixed_bfloat16") == "float32") == (backend == "jax")


@pytest.mark.parametrize(
    ("found", "name", "shown"),
    [(["gpu:0"], "NVIDIA H100 80GB HBM3", "1 GPU (NVIDIA H100 80GB HBM3)"),
     (["gpu:0", "gpu:1"], None, "2 GPUs")],
)  # fmt: skip
def test_gpus_are_counted_and_named(monkeypatch, found, name, shown):
    monkeypatch.setattr(device, "gpus", lambda: found)
    monkeypatch.setattr(device, "_first_gpu", lambda: (name, (9, 0)))
    assert device.describe_device() == shown
