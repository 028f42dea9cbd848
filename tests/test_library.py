"""The snippets of experiments/library.py run and do what they say."""

import runpy
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from knee_attention.networks.files.model_files import load_model, read_description

SCRIPT = Path(__file__).parents[1] / "experiments" / "library.py"


@pytest.mark.usefixtures("eager")
def test_the_snippets_do_what_they_say(tmp_path, capsys):
    snippets = runpy.run_path(str(SCRIPT))
    for snippet in snippets["SNIPPETS"]:
        snippet(tmp_path)
    said = capsys.readouterr().out
    assert "L KL 3" in said and "'att1_mask': (10, 5, 5, 1)" in said
    assert "{'att1': (None, 5), 'att2': (None, 5)}" in said
    height, width, _ = cv2.imread(str(tmp_path / "film.png")).shape
    assert width > 4 * height / 2
    masks = np.load(tmp_path / "att1_masks.npy")
    assert masks.shape == (10, 5, 5) and 0 <= masks.min() < masks.max() <= 1
    own = keras.saving.load_model(tmp_path / "own.keras")
    assert own.get_layer("att1_mask") and list(own.output) == ["kl"]
    shipped, tuned = "kneekl-vgg16-multiloss", tmp_path / "fine_tuned.h5"
    assert read_description(tuned)["preparation"]["crop"] == "square"
    for layer, moved in (("block1_conv1", False), ("block5_conv3", True)):
        before, after = (load_model(path).get_layer(layer).get_weights()[0]
                         for path in (shipped, tuned))  # fmt: skip
        assert np.array_equal(before, after) != moved
