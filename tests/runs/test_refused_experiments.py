"""Experiments that cannot run, or whose data they would stretch, are refused before a training."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from stand_ins import EXPERIMENTS

from knee_attention.commands import evaluate
from knee_attention.commands.scripts import experiment, tables
from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import CHOICES, Experiment
from knee_attention.runs.finished.saved_model import KneeSource
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.stretching import remark_on_shape

SCRIPT = EXPERIMENTS / "run_vgg16_att0.py"
ANTONY = Experiment("antony_clsf", ("att1", "att2"), "multi_loss", (1.0, 0.8))
PAIR = {"branches": ("att0", "att1"), "fusion": "multi_loss", "loss_weights": (1.0, 0.8)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "vgg19"}, "one of the backbones vgg16, resnet50"),
        ({"fusion": "late"}, "one of the fusions single"),
        ({"branches": ()}, "distinct branches from att0, att1, att2"),
        ({"branches": ("att0", "att7")}, "distinct branches from att0, att1, att2"),
        ({"branches": ("att0", "att1")}, "one branch for 'single'"),
        ({"image_size": (63, 224)}, "at least 64 pixels a side for vgg16"),
        ({"backbone": "antony_clsf", "image_size": (95, 96)}, "at least 96 pixels a side"),
        ({"backbone": "antony_extended", "image_size": (96, 95)}, "at least 96 pixels a side"),
        ({"image_size": (4097, 224)}, "at most 4096 pixels"),
        ({"image_size": (96.5, 224)}, "two integers, height and width"),
        ({"image_size": (96,)}, "an image size of two integers"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_in_the_words_of_build_model(arguments, message):
    with pytest.raises(InputError, match=message) as of_experiment:
        Experiment(**arguments)
    model = {"branches": ("att0",), "fusion": "single", **arguments}
    with pytest.raises(ValueError) as of_model:
        build_model(**model)
    assert str(of_model.value) == str(of_experiment.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss_weights": (1.0,)}, "for each of att0, att1"),
        ({"loss_weights": (1.0, 0.8, 0.6)}, "for each of att0, att1"),
        ({"loss_weights": (1.0, float("nan"))}, "for each of att0, att1"),
        ({"loss_weights": (1.0, 0.0)}, "for each of att0, att1"),
        ({"fusion": "early_fusion"}, "for each of kl"),
        ({"epochs": -1}, "a whole number from 0 as epochs"),
        ({"epochs": 0}, "--epochs 0 trains nothing, so it needs the --weights of a trained model"),
        ({"stability": -1}, "a whole number from 0 as stability"),
        ({"backbone": "vgg16_plain", "branches": (), "fusion": "plain", "loss_weights": (1.0,),
          "stability": 1}, "--stability needs attention branches, which vgg16_plain lacks"),
        ({"teacher": "model.h5"}, "--teacher needs --stability"),
        ({"batch_size": 2.5}, "a whole number from 1 as batch_size"),
        ({"patience": -1}, "a whole number from 1 as patience"),
        ({"limit": 0}, "a whole number from 1 as limit, or None"),
        ({"learning_rate": float("nan")}, "a number above 0 as learning_rate"),
        ({"learning_rate": float("inf")}, "a number above 0 as learning_rate"),
        ({"learning_rate": -1e-5}, "a number above 0 as learning_rate"),
        ({"seed": -1}, "from 0 to 2.32 - 1 as seed"),
        ({"seed": 2**32}, "from 0 to 2.32 - 1 as seed"),
        ({"backbone": "antony_clsf", "weights": "imagenet"}, "antony_clsf has no ImageNet weights"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Experiment(**{**PAIR, **arguments})


@pytest.mark.parametrize("name", CHOICES)
def test_an_unknown_choice_is_refused_and_every_known_one_taken(name):
    for choice in CHOICES[name]:
        assert getattr(Experiment(**{name: choice}), name) == choice
    with pytest.raises(InputError, match=f"expected {CHOICES[name][0]} or .* as {name}. Received"):
        Experiment(**{name: "other"})


def test_a_changed_experiment_is_looked_at_again():
    with pytest.raises(InputError, match="one branch for 'single'"):
        dataclasses.replace(Experiment(), fusion="multi_loss")


@pytest.mark.parametrize("command", ["experiment", "tables"])
def test_a_command_says_so_before_it_looks_at_the_data(command, refused, tmp_path):
    options = ["--data", str(tmp_path / "none"), "--image-size", "32", "32"]
    if command == "experiment":
        said = refused(experiment.main, Experiment(), options)
    else:
        said = refused(tables.main, "table1", [SCRIPT], options)
    assert said.endswith("at least 64 pixels a side for vgg16. Received: 32x32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "32", "32"], "at least 96 pixels"),
        (["--image-size", "96", "4097"], "at most 4096 pixels"),
        (["--precision", "float8"], "invalid choice: 'float8'"),
        (["--epochs", "0"], "--epochs 0 trains nothing, so it needs the --weights"),
        (["--epochs", "1e3"], "expected a whole number from 0, not 1e3"),
        (["--batch-size", "0"], "expected a whole number from 1, not 0"),
        (["--learning-rate", "-1"], "number above 0"),
        (["--seed", "x"], "expected a whole number from 0 to 2^32 - 1, not x"),
        (["--weights", "none.h5", "--image-size", "96", "96"], "no such model file"),
    ],
)
def test_bad_options_are_one_sentence(capsys, knee_folder, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as ended:
        place = ["--data", str(knee_folder), "--output", str(tmp_path / "run")]
        experiment.main(ANTONY, [*place, *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


CROP = ["--crop", "square"]
PAPER_SIZE = ["--image-size", "320", "224"]
SMALL_SIZE = ["--image-size", "112", "112"]


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Starts a training on images of a size; returns what is said in place of `training starts`."""

    def stop(*_):
        print("training starts")
        raise SystemExit

    monkeypatch.setattr(experiment, "start_keras", stop)
    monkeypatch.setattr("knee_attention.commands.scripts.sweeps.start_keras", stop)

    def said(size, *options, table=False, cutting=None):
        data = tmp_path / "knees"
        for split in ("train", "validation"):
            (data / split / "0").mkdir(parents=True, exist_ok=True)
            image = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
            cv2.imwrite(str(data / split / "0" / f"{split}_R.png"), image)
        if cutting:
            write_cutting(data, cutting)
        arguments = ["--data", str(data), "--output", str(tmp_path / "run"), *options]
        with pytest.raises(SystemExit):
            if table:
                tables.main("table1", [SCRIPT], arguments)
            else:
                experiment.main(Experiment(), arguments)
        printed = capsys.readouterr()
        return (printed.out + printed.err).strip().replace(f"{data}: its images are ", "")

    return said


SUGGESTED = "--crop square --image-size 224 224 (or 112 112, for 25% of the time)"
REFUSED = [
    ((224, 224), [], f"become 320x224; give {SUGGESTED}, or --crop half if they are halves"),
    ((300, 310), [], f"become 320x224; give {SUGGESTED}, or --crop half if they are halves"),
    ((224, 224), SMALL_SIZE, "of joints; give --crop square, or --crop half if they are halves"),
    ((224, 224), CROP, "give --image-size 224 224 (or 112 112, for 25% of the time), or "
                       "--image-size 320 224 to stretch them"),
    ((96, 96), CROP, "give --image-size 96 96, or --image-size 320 224 to stretch them"),
    ((200, 300), [], "give --image-size 200 300, or --image-size 320 224 to enlarge them"),
]  # fmt: skip


@pytest.mark.parametrize("table", [False, True], ids=["experiment", "table"])
@pytest.mark.parametrize(("size", "options", "advice"), REFUSED)
def test_what_would_be_stretched_is_refused_with_the_options_to_give(
    said, size, options, advice, table
):
    sentence = said(size, *options, table=table)
    assert re.search(rf": {size[0]}x{size[1]} pixels", sentence) and advice in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize(("size", "options"), [
    ((224, 224), [*CROP, *SMALL_SIZE]), ((224, 224), ["--crop", "half", *SMALL_SIZE]),
    ((224, 224), [*CROP, *PAPER_SIZE]), ((200, 300), PAPER_SIZE), ((640, 448), []),
])  # fmt: skip
def test_what_fits_and_what_the_user_asks_for_is_trained(said, size, options):
    assert said(size, *options) == "training starts"


def test_squares_whose_crop_is_recorded_only_lack_a_size(said):
    cutting = Cutting(size=(224, 224), crop="square")
    assert "; give --image-size 224 224" in said((224, 224), cutting=cutting)
    assert said((224, 224), *SMALL_SIZE, cutting=cutting) == "training starts"


@pytest.mark.parametrize(("shape", "crop", "size", "remark"), [
    ((96, 96), "square", (224, 224), ""),
    ((160, 112), "square", (224, 224), "160x112 pixels, but model.h5 learnt from square crops"),
    ((160, 112), "half", (320, 224), ""),
    ((96, 96), "half", (320, 224), "96x96 pixels, but model.h5 learnt from halves of films"),
    ((96, 96), None, (320, 224), "learnt from images of 320x224 pixels; its grades"),
    ((96, 96), None, (96, 96), ""),
])  # fmt: skip
def test_an_evaluation_remarks_on_images_of_another_shape(tmp_path, shape, crop, size, remark):
    (tmp_path / "test" / "0").mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "test" / "0" / "1_R.png"), image)
    found = remark_on_shape(str(tmp_path), "test", Path("model.h5"), crop, size)
    assert remark in found and bool(remark) == bool(found)


def test_remarks_include_the_shape_of_the_images(tmp_path):
    (tmp_path / "test" / "0").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "test" / "0" / "1_R.png"), np.eye(96, dtype=np.uint8) * 255)
    saved = SimpleNamespace(path=tmp_path / "model.h5", given=Path("model.h5"), experiment={},
                            description={"image_size": [320, 224]})  # fmt: skip
    source = KneeSource(str(tmp_path), "test", None, 0)
    [remark] = evaluate._remarks(saved, source)
    assert remark.startswith(f"remark: {tmp_path}: its images are 96x96 pixels")


@pytest.mark.parametrize("data", ["own", "another"])
def test_a_remark_says_that_the_rules_were_fitted_to_these_knees(tmp_path, data):
    (tmp_path / "own" / "validation" / "0").mkdir(parents=True)
    knee = np.eye(96, dtype=np.uint8) * 255
    cv2.imwrite(str(tmp_path / "own" / "validation" / "0" / "1_R.png"), knee)
    description = {"image_size": [96, 96], "decision": {"power": 1}}
    saved = SimpleNamespace(path=tmp_path / "model.h5", given=Path("model.h5"),
                            experiment={"data": data}, description=description)  # fmt: skip
    remarks = evaluate._remarks(saved, KneeSource(str(tmp_path / "own"), "validation", None, 0))
    assert ["fitted to these knees" in remark for remark in remarks] == [True] * (data == "own")


def test_data_that_record_their_crop_need_no_remark(tmp_path):
    (tmp_path / "test" / "0").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "test" / "0" / "1_R.png"), np.eye(96, dtype=np.uint8) * 255)
    write_cutting(tmp_path, Cutting(size=(96, 96), crop="half"))
    assert not remark_on_shape(str(tmp_path), "test", Path("model.h5"), "half", (320, 224))


def test_a_run_that_was_begun_resumes(said, tmp_path):
    settings = Experiment(data=str(tmp_path / "knees"))
    RunFolder(tmp_path / "run").folder.mkdir()
    RunFolder(tmp_path / "run").begin(settings, [])
    assert said((224, 224)) == "training starts"
