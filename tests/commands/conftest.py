"""Tiny finished runs, and the folder that they are published in."""

import json
import shutil
from dataclasses import replace

import pytest

from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.publishing import publish

ONE = Experiment(backbone="antony_clsf", branches=("att1",), image_size=(96, 96), epochs=1,
                 batch_size=10, limit=10, precision="float32")  # fmt: skip
TWO = replace(ONE, branches=("att1", "att2"), fusion="multi_loss", loss_weights=(1.0, 0.8))


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory):
    """A folder of finished runs with the names that run_table1.py gives."""
    from knee_attention.runs.run import run

    folder = tmp_path_factory.mktemp("runs")
    run(ONE, folder / "antony_clsf_att1")
    run(TWO, folder / "antony_clsf_multiloss")
    for name, copy, change in (
        ("antony_clsf_multiloss", "antony_clsf_multiloss-seed1", {"seed": 1}),
        ("antony_clsf_att1", "antony_clsf_att1-strong", {"augment": "strong"}),
    ):
        # The tests need another seed and another option, but no other results.
        shutil.copytree(folder / name, folder / copy)
        path = folder / copy / "experiment.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return folder


@pytest.fixture(scope="session")
def published_once(finished_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "results"
    for run in sorted(finished_runs.iterdir()):
        publish(run, folder)
    return folder


@pytest.fixture
def published(published_once, tmp_path):
    """A copy of the folder with all finished runs."""
    return shutil.copytree(published_once, tmp_path / "results")
