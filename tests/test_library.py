"""The snippets of experiments/library.py run and do what they say."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from knee_attention.films.image_files import is_picture
from knee_attention.networks.files.model_files import load_model, read_description

SCRIPT = Path(__file__).parents[1] / "experiments" / "library.py"


@pytest.mark.usefixtures("eager")
def test_the_snippets_do_what_they_say(tmp_path, phantom_runs, capsys):
    script = runpy.run_path(str(SCRIPT))
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
