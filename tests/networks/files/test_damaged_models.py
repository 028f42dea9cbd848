"""Damaged or malicious model files: weights that are not finite, and graphs too large."""

import json
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files import model_files
from knee_attention.networks.files.initial_weights import read_weights
from knee_attention.networks.model import build_model


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
