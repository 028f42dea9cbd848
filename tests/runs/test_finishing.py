"""The measurement of a trained model, and the results that a run writes."""

import keras
import numpy as np
import pytest

from knee_attention.datasets.knees import Dataset, Knees
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finishing import finish
from knee_attention.runs.measure import Measured, both_ways, measure
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


def test_each_branch_is_scored_by_its_own_masks():
    joints = np.zeros((2, 8, 8), bool)
    joints[:, 2:4, 2:6] = True
    knees = Knees(np.zeros((2, 8, 8), np.uint8), np.zeros(2, int), ["1R", "1L"], ["1", "1"], joints)
    said = Predictions(knees.files, knees.subjects, knees.grades, {"att0": np.full((2, 5), 0.2)})
    on = np.where(joints, 0.9, 0.1).astype(np.float32)
    scores = Measured(knees, said, {"att0": 1 - on, "att2": on}).localisation()
    assert list(scores) == ["att0", "att2"]
    assert scores["att0"]["inside_over_outside"] < 0.2 < 5 < scores["att2"]["inside_over_outside"]


def test_one_pass_gives_what_the_model_says_and_where_it_looks():
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    images = np.random.default_rng(0).integers(0, 256, (40, 96, 96)).astype(np.uint8)
    files = [f"{number}.png" for number in range(40)]
    found = measure(model, Knees(images, np.arange(40) % 5, files, [""] * 40))
    said = model.predict(images[..., np.newaxis], batch_size=32, verbose=0)
    for branch in ("att1", "att2"):
        np.testing.assert_allclose(found.predictions.of(branch), said[branch], atol=1e-6)
    assert {name: masks.shape for name, masks in found.masks.items()} == {
        "att1": (40, 5, 5), "att2": (40, 2, 2),
    }  # fmt: skip
    assert found.predictions.subjects == files  # a knee without a subject counts as a person
    results = found.results("validation", "att2")
    assert results["knees"] == results["subjects"] == 40 and "localisation" not in results
    assert results["validation"]["att2"]["accuracy"] == pytest.approx(
        (said["att2"].argmax(axis=1) == np.arange(40) % 5).mean()
    )


@pytest.mark.parametrize(("one", "other", "expected"), [
    (1.2, 2.9, 2.05), (0.0, 4.0, 2.0), (1.4, 1.4, 1.4), (-1.0, 1.0, 0.5), (3.2, 9.0, 3.6),
])  # fmt: skip
def test_a_knee_and_its_mirror_image_have_the_mean_of_a_regression_s_grades(one, other, expected):
    def said(grade):
        values = {"regression": as_probabilities(np.array([[grade]])), "kl": np.full((1, 5), 0.2)}
        return Predictions(["1R"], ["1"], np.array([2]), values)

    found = both_ways(said(one), said(other)).of("regression")[0]
    assert found @ range(5) == pytest.approx(expected)
    assert found.argmax() == round(expected)
