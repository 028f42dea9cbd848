"""Models load although no temporary folder can be written."""

import os
import tempfile

import numpy as np
import pytest

from knee_attention.networks.files.model_files import load_model, save_model
from knee_attention.networks.model import build_model
from knee_attention.startup import _native_stderr_held_back


@pytest.fixture
def no_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))


@pytest.mark.parametrize("in_memory", [True, False])
def test_keras_can_be_started(no_temporary_folder, monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    entered = False
    with _native_stderr_held_back():
        entered = True
    assert entered


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_held_back_is_shown_if_the_block_fails(monkeypatch, capfd, in_memory):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with _native_stderr_held_back():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError), _native_stderr_held_back():
        os.write(2, b"the reason")
        1 / 0  # noqa: B018
    assert capfd.readouterr().err == "the reason"


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_model_file_is_loaded(tmp_path, monkeypatch, suffix):
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    save_model(model, tmp_path / f"model{suffix}", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    again = load_model(tmp_path / f"model{suffix}")
    for weights, others in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)
