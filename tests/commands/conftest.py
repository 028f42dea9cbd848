"""Tiny finished runs, and the folder that they are published in."""

import json
import shutil

import pytest

from knee_attention.runs.finished.publishing import publish


@pytest.fixture(scope="session")
def finished_runs(phantom_runs, tmp_path_factory):
    """A folder of finished runs with the names that run_table1.py gives."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(phantom_runs / "att1", folder / "antony_clsf_att1")
    shutil.copytree(phantom_runs / "two", folder / "antony_clsf_multiloss")
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
