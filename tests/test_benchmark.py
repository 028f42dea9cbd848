"""The arithmetic of the benchmark scripts."""

import argparse
import importlib.util
from pathlib import Path

import pytest

from knee_attention.networks.model import build_model


def script(name):
    path = Path(__file__).parents[1] / "experiments" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmark")


@pytest.fixture(scope="module")
def networks():
    return script("benchmark_networks")


def test_vgg16_multi_loss_needs_39_7_gflop(networks):
    assert networks.convolution_gflop(build_model()) == pytest.approx(39.7, abs=0.1)


def test_the_best_round_counts_quantity_by_quantity(benchmark):
    first = {"precision": "float32", "training": 2.0, "first_step": 5.0, "memory": 3.0}
    second = {"precision": "float32", "training": 1.0, "first_step": 4.0, "memory": 3.5}
    best = benchmark.better(benchmark.better(None, first), second)
    assert best == {"precision": "float32", "training": 2.0, "first_step": 4.0, "memory": 3.0}


def test_a_convolution_rate_is_measured(networks, monkeypatch):
    monkeypatch.setattr(networks, "CONVOLUTION_SIZE", (16, 16))
    assert 1 < networks.convolution_rate("float32") < 1e6


def test_what_was_measured_before_a_failure_is_printed(benchmark, monkeypatch, tmp_path, capsys):
    failing = tmp_path / "model.py"
    failing.write_text("print('[\"training\", 2.0]', flush=True)\nraise SystemExit('no memory')")
    monkeypatch.setattr(benchmark, "NETWORKS", failing)
    options = argparse.Namespace(image_size=(96, 64), batch_size=2, steps=1)
    assert benchmark.in_own_process("float32", options) is None
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["  training 2.00 images/s", "  not measured further: no memory"]
