"""Data that the paper's setting would stretch or enlarge are refused, unless the user insists."""

import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from knee_attention.commands import evaluate
from knee_attention.commands.scripts import experiment, tables
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.stretching import remark_on_shape

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
        data, script = tmp_path / "knees", tmp_path / "run_vgg16_att0.py"
        for split in ("train", "validation"):
            (data / split / "0").mkdir(parents=True, exist_ok=True)
            image = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
            cv2.imwrite(str(data / split / "0" / f"{split}_R.png"), image)
        if cutting:
            write_cutting(data, cutting)
        script.write_text("from knee_attention.runs.experiment import Experiment\n"
                          "EXPERIMENT = Experiment()\n")
        arguments = ["--data", str(data), "--output", str(tmp_path / "run"), *options]
        with pytest.raises(SystemExit):
            if table:
                tables.main("table1", [script], arguments)
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


def test_evaluate_prints_the_remark(tmp_path):
    (tmp_path / "test" / "0").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "test" / "0" / "1_R.png"), np.eye(96, dtype=np.uint8) * 255)
    saved = SimpleNamespace(path=tmp_path / "model.h5", given=Path("model.h5"),
                            description={"image_size": [320, 224]})  # fmt: skip
    source = SimpleNamespace(data=str(tmp_path), split="test", limit=None, seed=0)
    [remark] = evaluate._remarks(saved, source)
    assert remark.startswith(f"remark: {tmp_path}: its images are 96x96 pixels")


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
