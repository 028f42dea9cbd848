"""A new backbone needs only one entry in `BACKBONES`."""

import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from small_trainings import TINY

from knee_attention import load_grader
from knee_attention.commands import cli
from knee_attention.commands.scripts.experiment import main
from knee_attention.errors import InputError
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.files.model_files import (
    load_model,
    read_description,
    save_model,
)
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.experiment import Experiment

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the tiny backbone on phantoms, with its phantom settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny", TINY)
        folder = tmp_path_factory.mktemp("runs") / "tiny_multiloss"
        main(two_branches(), ["--limit", "10", "--precision", "float32", "--output", str(folder)])
        yield folder


def two_branches():
    return Experiment("tiny", ("att0", "att1"), "multi_loss", (1.0, 0.8))


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_it_trains_and_its_models_are_loaded_as_what_they_are(run, name):
    described = read_description(run / name)
    assert (described["backbone"], described["fusion"]) == ("tiny", "multi_loss")
    assert described["image_size"] == [72, 64]
    knees = phantom_dataset((72, 64), 10).splits["test"]
    predicted = load_model(run / name).predict(knees.images[..., np.newaxis], verbose=0)
    table = pd.read_csv(run / "predictions.csv")
    for output in ("att0", "att1"):
        expected = table[[f"{output}_p{grade}" for grade in range(5)]].to_numpy()
        np.testing.assert_allclose(predicted[output], expected, atol=1e-5)


def test_a_knee_is_graded_and_a_training_begins_from_it(run, tmp_path):
    knees = phantom_dataset((72, 64), 10).splits["test"]
    [graded] = load_grader(run).grade(knees.images[0], view="single")
    assert set(graded.masks) == {"att0", "att1"}
    again = tmp_path / "again"
    main(two_branches(), ["--limit", "10", "--weights", str(run / "model.h5"),
                          "--output", str(again), "--precision", "float32"])  # fmt: skip
    assert (again / "results.json").exists()


def test_what_it_cannot_is_refused_as_of_any_other():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny", TINY)
        for wrong in ({"image_size": (63, 64)}, {"weights": "imagenet"}, {"branches": ("att2",)}):
            with pytest.raises(ValueError, match="tiny|att0, att1"):
                Experiment(**{"backbone": "tiny", "image_size": (72, 64), **wrong})


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(("branches", "fusion"), [
    (("att0",), "single"), (("att0", "att1"), "early_fusion"), (("att0", "att1"), "multi_loss"),
])  # fmt: skip
def test_without_its_module_a_model_file_says_which_backbone_is_missing(
    tmp_path, monkeypatch, suffix, branches, fusion
):
    path = tmp_path / f"model{suffix}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny_of_mine", TINY)
        save_model(build_model("tiny_of_mine", branches, fusion, (72, 64)), path, {})
    monkeypatch.delitem(BACKBONES, "tiny", raising=False)
    for read in (read_description, load_model, load_grader):
        with pytest.raises(InputError, match="model.*: unknown backbone 'tiny_of_mine'; import"):
            read(path)


def test_a_command_knows_the_backbone_once_it_imports_its_module(
    run, tmp_path, monkeypatch, refused, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.delitem(BACKBONES, "tiny")
    (tmp_path / "network_of_mine.py").write_text(
        "from knee_attention.networks.backbones import BACKBONES\n"
        "from test_fifth_backbone import TINY\n"
        "BACKBONES['tiny'] = TINY\n"
    )
    cv2.imwrite("knee.png", np.tile(np.arange(200, dtype=np.uint8), (220, 1)))
    grade = ["grade", "knee.png", "--view", "single", "--model", str(run)]
    for command in (grade, ["info", str(run)]):
        assert "'tiny'; import the module that adds it" in (said := refused(*command))
        assert "--import MODULE" in said
    assert "--import netwerk: no module" in refused(*grade, "--import", "netwerk")
    assert "--import keras.netwerk: no module" in refused(*grade, "--import", "keras.netwerk")
    cli.main([*grade, "--import", "network_of_mine"])
    cli.main(["info", str(run), "--import", "network_of_mine"])
    shown = capsys.readouterr().out
    assert "knee.png" in shown and "backbone       tiny" in shown
