"""The results of a trained model, and the split they are from."""

import keras
import numpy as np
import pytest

from knee_attention.datasets.knees import Dataset, Knees
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finishing import finish
from knee_attention.runs.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")

BRANCHES = ("att1", "att2")
EXPERIMENT = Experiment("antony_clsf", BRANCHES, "multi_loss", (1.0, 0.8), data="knees")


@pytest.mark.parametrize(("chosen", "other"), [BRANCHES, BRANCHES[::-1]])
def test_the_branch_is_chosen_on_validation(tmp_path, chosen, other):
    """The validation grades favour one branch, the test grades the other."""
    keras.utils.set_random_seed(0)
    model = build_model("antony_clsf", BRANCHES, "multi_loss", (96, 96))
    images = np.random.default_rng(0).integers(0, 256, (10, 96, 96)).astype(np.uint8)
    said = model.predict(images[..., np.newaxis].astype(np.float32), verbose=0)
    names = [f"{number}.png" for number in range(10)]

    def knees(better: str, worse: str) -> Knees:
        grades = (np.log(said[better]) - np.log(said[worse])).argmax(axis=1)
        return Knees(images, grades, names, names)

    dataset = Dataset({"validation": knees(chosen, other), "test": knees(other, chosen)})
    logs = [f"{prefix}{name}" for prefix in ("", "val_") for name in
            ("loss", *(f"{output}_{log}" for output in BRANCHES for log in ("loss", "accuracy")))]
    history = [{"epoch": 1, "learning_rate": 1e-3, **dict.fromkeys(logs, 0.5)}]
    results = finish(EXPERIMENT, model, dataset, history, RunFolder(tmp_path))
    assert results["chosen"] == chosen and results["split"] == "test"
    losses = {name: results["test"][name]["cross_entropy"] for name in BRANCHES}
    assert losses[chosen] > losses[other]
