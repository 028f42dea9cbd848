"""The examples run and do what they say: docstrings, the library's snippets, any network."""

import doctest
import runpy
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest

from knee_attention.films.image_files import is_picture
from knee_attention.networks.files.model_files import load_model, read_description

SNIPPETS = Path(__file__).parents[1] / "experiments" / "library.py"


@pytest.mark.usefixtures("eager")
def test_the_snippets_do_what_they_say(tmp_path, phantom_runs, capsys):
    script = runpy.run_path(str(SNIPPETS))
    small = str(phantom_runs / "two")
    for snippet in script["SNIPPETS"]:
        tunes = snippet is script["fine_tune_the_shipped_model"]
        snippet(tmp_path, small) if tunes else snippet(tmp_path)
    said = capsys.readouterr().out
    assert "L KL 3" in said and "'att1_mask': (10, 5, 5, 1)" in said
    assert "fine-tuned: KL" in said and "{'att1': (None, 5), 'att2': (None, 5)}" in said
    assert is_picture(tmp_path / "film.png")
    masks = np.load(tmp_path / "att1_masks.npy")
    assert masks.shape == (10, 5, 5) and 0 <= masks.min() < masks.max() <= 1
    own = keras.saving.load_model(tmp_path / "own.keras")
    assert own.get_layer("att1_mask") and list(own.output) == ["kl"]
    tuned = tmp_path / "fine_tuned.h5"
    assert read_description(tuned)["cutting"] == read_description(small)["cutting"]
    for layer, moved in (("conv1", False), ("att1_mask", True)):
        before, after = (load_model(path).get_layer(layer).get_weights()[0]
                         for path in (small, tuned))  # fmt: skip
        assert np.array_equal(before, after) != moved


SCRIPT = Path(__file__).parents[1] / "experiments" / "run_attention_on_any_network.py"
attend = runpy.run_path(str(SCRIPT))["main"]


@pytest.mark.usefixtures("eager")
def test_it_trains_draws_its_masks_and_saves_a_model_of_keras(tmp_path, capsys):
    attend(["--limit", "10", "--epochs", "1", "--taps", "block_6_expand_relu", "--attention",
          "shared", "--output", str(tmp_path)])  # fmt: skip
    printed = capsys.readouterr().out
    assert "att0 at block_6_expand_relu: accuracy 0." in printed
    assert "on 10 synthetic knees, attention" in printed
    assert (tmp_path / "masks.png").stat().st_size > 10_000
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert np.asarray(model(np.zeros((1, 160, 112, 1), "uint8"))["att0"]).shape == (1, 5)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--network", "Nope"], "keras.applications has no Nope; it has ConvNeXtBase,"),
        (["--taps", "block_6_expandd"], "no layer 'block_6_expandd'; did you mean block_6_expand"),
        (["--taps", "pixels", "pixels"], "expected a different layer for each branch"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(arguments, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        attend(arguments)
    assert ended.value.code == 2 and reason in capsys.readouterr().err


def test_it_lists_the_layers_that_can_be_tapped(capsys):
    attend(["--list-layers"])
    assert "block_6_expand_relu  (20, 14, 192)" in capsys.readouterr().out.splitlines()


EXAMPLES = {
    "attach_attention": "knee_attention.networks.model",
    "attention_branch": "knee_attention.networks.attention",
    "bootstrap_intervals": "knee_attention.evidence.intervals",
    "build_model": "knee_attention.networks.model",
    "decide": "knee_attention.evidence.decision",
    "grade_metrics": "knee_attention.evidence.metrics",
    "load_dataset": "knee_attention.datasets.dataset",
    "load_grader": "knee_attention.grading.grader",
    "LocallyConnected2D": "knee_attention.networks.layers",
    "moved": "knee_attention.evidence.calibration",
    "nonconformity": "knee_attention.evidence.prediction_sets",
    "prepared_knees": "knee_attention.films.network_input",
    "split_knees": "knee_attention.films.legs",
    "with_masks": "knee_attention.networks.attention",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name):
    module = import_module(EXAMPLES[name])
    finder = doctest.DocTestFinder(recurse=False)
    [examples] = finder.find(getattr(module, name), name, module, dict(vars(module)))
    assert examples.examples
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples)
    assert results.failed == 0
