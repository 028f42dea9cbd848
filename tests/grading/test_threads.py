"""Loading and grading in threads does not change process state."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from knee_attention import load_grader
from knee_attention.networks.files.model_files import save_model
from knee_attention.networks.model import build_model

PROGRAM = Path(__file__).with_name("loading_in_a_thread.py")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved model whose precision differs from the global one."""
    path = tmp_path_factory.mktemp("model") / "model.h5"
    built = build_model(
        "antony_clsf", ("att1",), "single", (96, 96), precision="mixed_bfloat16"
    )
    save_model(built, path, {"name": "small"})
    return path


def test_a_grader_that_loads_in_a_thread_takes_nothing_from_the_others(model):
    done = subprocess.run([sys.executable, PROGRAM, model], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    told = json.loads(done.stdout)
    before, first, second = told["states"]
    assert told["seen"] == [before["descriptors"][2]]
    for kept in ("descriptors", "handlers", "levels", "signals"):
        assert before[kept] == first[kept] == second[kept], kept
    # Newly imported libraries add warning filters of their own, and remove none.
    assert [entry for entry in first["filters"] if entry in before["filters"]] == before["filters"]
    assert first["filters"] == second["filters"]
    assert first["policy"] == second["policy"] == "float32"
    lines = map(int, re.findall(r"line (\d+) of another thread", done.stderr))
    assert sorted(lines) == list(range(told["written"])) and told["written"] > 20


def test_several_threads_load_and_grade_as_one_does(model):
    knee = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)

    def graded(_):
        return load_grader(model).grade(knee, "single")[0].probabilities

    expected = graded(0)
    with ThreadPoolExecutor(4) as pool:
        for probabilities in pool.map(graded, range(8)):
            np.testing.assert_allclose(probabilities, expected, atol=1e-6)
