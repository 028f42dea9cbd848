"""A file's description is checked when read; damaged or malicious files are refused."""

import json
import math
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from knee_attention.datasets.persons import person_digests
from knee_attention.errors import InputError
from knee_attention.films.network_input import typical_knee
from knee_attention.grading.grader import load_grader
from knee_attention.networks.files import model_files
from knee_attention.networks.files.description import check_description
from knee_attention.networks.files.initial_weights import read_weights
from knee_attention.networks.files.model_files import read_description, save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.film import phantom_film

GREY = [[row + column for column in range(16)] for row in range(16)]
SETS = {"thresholds": [step / 100 for step in range(90)] + [None] * 9}
MOVE = {"shifts": [0.5, 0, -1, 2], "temperature": 1.5}
GOOD = {
    "backbone": "vgg16", "branches": ["att0", "att1"], "fusion": "multi_loss",
    "outputs": ["att0", "att1"], "image_size": [320, 224], "channels": 1, "pixel_mean": [120.5],
    "pixel_deviation": 75, "precision": "float32", "name": "mine", "chosen": "att1",
    "synthetic": False, "parameters": 7_709_054, "temperatures": {"att0": 1.2, "att1": 1},
    "typical_knee": {"grey": GREY, "least": 0.81}, "experiment": {"seed": 3, "limit": None},
    "results": {"split": "test", "knees": 9, "outputs": {"att0": {"accuracy": 1, "kappa": None}}},
    "decision": {"default": "median", "grade_counts": [5, 0, 3, 2, 1], "power": 0.5},
    "prediction_sets": SETS,
    "training_persons": person_digests(["9000099", "9000296"]),
    "local_calibration": {"data": "clinic", "date": "2026-11-30", "knees": 25,
                          "cut_points": {"att1": MOVE}, "prediction_sets": SETS},
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return build_model("antony_clsf", ("att0",), "single", (96, 96))


def test_a_good_one_passes_with_and_without_what_may_be_missing():
    check_description(GOOD, "model.h5")
    check_description({**GOOD, "chosen": None, "results": None, "more": object()}, "model.h5")
    graph = dict(list(GOOD.items())[:9])
    check_description(graph, "model.h5")


def test_a_typical_knee_is_checked_at_the_size_that_knees_are_compared_at():
    typical = typical_knee([np.arange(96 * 96).reshape(96, 96) % 256]).tolist()
    check_description({**GOOD, "typical_knee": {"grey": typical, "least": -1}}, "model.h5")


@pytest.mark.parametrize(("entry", "value"), [
    *[(name, None) for name in list(GOOD)[:9]],
    ("backbone", 16), ("fusion", []), ("precision", {}),
    ("branches", "att0"), ("branches", ["att0", "att0"]), ("branches", [0]),
    ("outputs", []), ("outputs", ["att0", "att0"]), ("outputs", [""]),
    ("image_size", [320]), ("image_size", [320.0, 224]), ("image_size", [0, 224]),
    ("image_size", [10**6, 224]), ("image_size", [True, 224]), ("image_size", "ab"),
    ("channels", 2), ("channels", True),
    ("pixel_mean", 120), ("pixel_mean", [math.nan]), ("pixel_mean", [1, 2]),
    ("pixel_deviation", 0), ("pixel_deviation", -1), ("pixel_deviation", math.inf),
    ("pixel_deviation", 10**400),
    ("name", 3), ("chosen", "att9"), ("chosen", 0), ("synthetic", "no"), ("parameters", 1.5),
    ("temperatures", [1]), ("temperatures", {"att0": 0}), ("temperatures", {"att0": -1}),
    ("temperatures", {"att0": "1"}), ("temperatures", {"att0": math.nan}),
    ("temperatures", {"att9": 1.0}),
    ("typical_knee", {"grey": [[1, 2], [3, 4]], "least": 0.5}), ("typical_knee", GREY),
    ("typical_knee", {"grey": GREY}), ("typical_knee", {"grey": GREY, "least": 2}),
    ("typical_knee", {"grey": [[7] * 16] * 16, "least": 0.5}),
    ("typical_knee", {"grey": [[*row[:15], math.nan] for row in GREY], "least": 0.5}),
    ("typical_knee", {"grey": [[*row[:15], 256] for row in GREY], "least": 0.5}),
    ("decision", "median"), ("decision", {**GOOD["decision"], "default": "mean"}),
    ("decision", {**GOOD["decision"], "power": -1}),
    ("decision", {**GOOD["decision"], "grade_counts": [0] * 5}),
    ("prediction_sets", SETS["thresholds"]), ("prediction_sets", {"thresholds": [0.5] * 98}),
    ("prediction_sets", {"thresholds": [None, *[0.5] * 98]}),
    ("prediction_sets", {"thresholds": [0.9, *[0.5] * 98]}),
    ("prediction_sets", {"thresholds": [*[0.5] * 98, 2]}),
    ("local_calibration", {**GOOD["local_calibration"], "prediction_sets": None}),
    *[("local_calibration", {**GOOD["local_calibration"], "cut_points": {"att1": move}})
      for move in ([0, 0, 0, 0], {"shifts": [0] * 3, "temperature": 1}, {"shifts": [0] * 4},
                   {**MOVE, "temperature": 0}, {**MOVE, "shifts": [0, 0, 0, math.nan]})],
    ("local_calibration", {**GOOD["local_calibration"], "cut_points": {"att9": MOVE}}),
    ("local_calibration", {**GOOD["local_calibration"], "knees": 0}),
    ("training_persons", 7), ("training_persons", "AAAA"), ("training_persons", "no digests"),
    ("experiment", []), ("experiment", {"seed": "1"}), ("experiment", {"limit": -2}),
    ("results", {}), ("results", {**GOOD["results"], "outputs": {"att0": {"accuracy": "high"}}}),
    ("results", {**GOOD["results"], "outputs": {"att0": {"accuracy": math.nan}}}),
])  # fmt: skip
def test_an_entry_that_cannot_be_is_named_in_one_sentence(entry, value):
    with pytest.raises(InputError, match="model.h5: a damaged model file .*expected") as refused:
        check_description({**GOOD, entry: value}, "model.h5")
    said = str(refused.value)
    assert "\n" not in said and len(said) < 250
    assert entry in said or "att9" in said


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("given", [{"temperatures": {"att0": -1}}, {"chosen": "att1"},
                                   {"typical_knee": {"grey": [[0, 1]] * 2, "least": 0}}])
def test_the_files_of_keras_are_checked_when_they_are_read(model, tmp_path, suffix, given):
    path = tmp_path / f"model{suffix}"
    save_model(model, path, given)
    for read in (read_description, load_grader):
        with pytest.raises(InputError, match=f"model{suffix}: a damaged model file"):
            read(path)


@pytest.mark.parametrize("scale", [-1.0, 1e-400, math.nan])
def test_pixels_of_the_graph_are_checked_too(model, tmp_path, scale):
    path = tmp_path / "model.h5"
    save_model(model, path, {})
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == "pixels":
                layer["config"]["scale"] = scale
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(InputError, match="model.h5: (a damaged model file|not a model of this)"):
        read_description(path)


@pytest.mark.parametrize("given", [
    {"cutting": {"size": 3}}, {"cutting": [1]}, {"preparation": "pad"},
    {"results": {"outputs": {}}}, {"experiment": 5}, {"parameters": "many"},
])  # fmt: skip
def test_info_says_what_is_wrong_in_one_sentence(model, tmp_path, refused, given):
    save_model(model, tmp_path / "model.h5", given)
    assert "model.h5: " in refused("info", tmp_path / "model.h5")


def test_temperatures_that_pass_are_used(model, tmp_path):
    save_model(model, tmp_path / "model.h5", {"temperatures": {"att0": 2}})
    knees = load_grader(tmp_path / "model.h5").grade(phantom_film((0, 4), 3, height=200).image)
    assert len(knees) == 2


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_weights_that_are_not_finite_are_refused(tmp_path, suffix, value):
    """A pool or a ReLU may hide NaN: the outputs would be finite but wrong."""
    path = tmp_path / f"model{suffix}"
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    kernel, bias = model.get_layer("conv2").get_weights()
    bias[3] = value
    model.get_layer("conv2").set_weights([kernel, bias])
    model_files.save_model(model, path, {})
    with pytest.raises(InputError, match=rf"model{suffix}: the weights of conv2 .*not .*finite"):
        model_files.load_model(path)
    with pytest.raises(InputError, match="conv2"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_graph_of_more_weights_than_the_file_holds_takes_no_memory(tmp_path, monkeypatch, suffix):
    """The dense layer of a baseline for 2048x2048 images needs two gigabytes of weights."""
    path = tmp_path / f"model{suffix}"
    model = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    model_files.save_model(model, path, {})
    assert model_files.load_model(path).count_params() == model.count_params()
    change_config(path, "knee", batch_shape=[None, 2048, 2048, 1])
    monkeypatch.setattr(keras.Model, "load_weights", None)  # the file is refused before
    before = peak_memory()
    with pytest.raises(InputError, match=r"graph has 53\d,\d+,\d+ weights, the file has 1,"):
        model_files.load_model(path)
    assert peak_memory() - before < 500e6


def peak_memory():
    """Peak memory of this process in bytes."""
    resource = pytest.importorskip("resource")
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def change_config(path, layer, **changes):
    """Change a layer in the configuration of a model file."""
    def change(text):
        config = json.loads(text)
        for known in config["config"]["layers"]:
            if known["config"]["name"] == layer:
                known["config"].update(changes)
        return json.dumps(config)

    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = change(file.attrs["model_config"])
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = change(members["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
