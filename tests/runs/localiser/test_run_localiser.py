"""A training of the localiser: batches, run folder, resuming, refused input."""

import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from knee_attention.commands.scripts.localiser import main
from knee_attention.errors import ImageError, InputError
from knee_attention.files import read_json
from knee_attention.films.joints import Joint, box_around
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.localiser import run as localiser
from knee_attention.runs.localiser.distractors import draw_distractor
from knee_attention.runs.localiser.films import (
    images_below,
    is_held_out,
    phantom_films,
    real_films,
    square_crops,
)
from knee_attention.runs.localiser.results import match_joints, summary
from knee_attention.runs.localiser.run import _new_name, run_localiser
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.run_folder import RunFolder

pytest.importorskip("onnx")
SMALL = LocaliserRun(films=2, epochs=2, steps=2, batch_size=2, precision="float32")
pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module", autouse=True)
def few_phantoms():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localiser, "PHANTOMS", {"validation": 2, "test": 2})
        patch.setattr(localiser, "VALIDATION_BATCHES", 1)
        yield


@pytest.fixture(scope="module")
def whole(eager, few_phantoms, tmp_path_factory):
    """The folder of a run without interruption."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run_localiser(SMALL, folder)
    return folder


def test_every_split_has_phantoms_of_its_own():
    films = [phantom_films(2, split, 0)[0].image for split in ("train", "validation", "test")]
    assert len({film.tobytes() for film in films}) == 3


def test_a_run_leaves_the_network_the_numbers_and_the_pictures(whole, capsys):
    there = {path.relative_to(whole).as_posix() for path in whole.rglob("*")}
    assert there == {"experiment.json", "history.csv", "localiser.onnx", "joints.csv",
                     "results.json", "environment.json", "figures",
                     "figures/found-phantoms.png", "figures/failures-phantoms.png"}  # fmt: skip
    results = read_json(whole / "results.json")
    assert results["convolution_weights"] == 234_149
    assert results["held_out"]["phantoms"]["joints"] == 4 and results["synthetic"] is True
    assert len((whole / "joints.csv").read_text().splitlines()) == 5
    assert run_localiser(SMALL, whole) == results
    assert "already finished" in capsys.readouterr().out
    with pytest.raises(InputError, match="contains another experiment"):
        run_localiser(LocaliserRun(films=5, epochs=2), whole)


def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(whole, tmp_path, monkeypatch):
    """The history has two epochs, the saved state only the first. The second epoch is repeated."""
    real_save, saved = localiser.keras.Model.save_weights, []

    def save_first(model, path):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        real_save(model, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(localiser.keras.Model, "save_weights", save_first)
        run_localiser(SMALL, tmp_path / "killed")
    assert (tmp_path / "killed" / "checkpoint.weights.h5").exists()
    assert len(pd.read_csv(tmp_path / "killed" / "history.csv")) == 2
    run_localiser(SMALL, tmp_path / "killed")
    histories = [pd.read_csv(folder / "history.csv")[["loss", "val_loss"]]
                 for folder in (whole, tmp_path / "killed")]  # fmt: skip
    np.testing.assert_allclose(*histories, rtol=1e-3)


def test_a_training_outlives_an_export_that_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise InputError("the disk is full")

    one_step = replace(SMALL, epochs=1, steps=1)
    with monkeypatch.context() as patch, pytest.raises(InputError, match="the disk is full"):
        patch.setattr(localiser, "export_localiser", fail)
        run_localiser(one_step, tmp_path / "run")
    trained = (tmp_path / "run" / "history.csv").read_text()
    run_localiser(one_step, tmp_path / "run")
    assert (tmp_path / "run" / "history.csv").read_text() == trained
    assert not (tmp_path / "run" / "checkpoint.weights.h5").exists()


def test_a_full_disk_ends_a_training_in_one_sentence(tmp_path, full_disk):
    one_step = replace(SMALL, epochs=1, steps=1)
    with full_disk(100_000), pytest.raises(InputError, match="weights.h5 cannot be written: File"):
        run_localiser(one_step, tmp_path / "run")


def test_a_folder_of_another_kind_of_run_is_refused(tmp_path):
    RunFolder(tmp_path).begin(Experiment(), [])
    with pytest.raises(InputError, match="contains another experiment .name vgg16_att0 -> "):
        run_localiser(SMALL, tmp_path)


def test_what_could_not_be_kept_is_not_trained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match="needs the package onnx"):
        run_localiser(SMALL, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def boxes_of(phantom):
    return {side: box_around(region) for side, region in phantom.boxes.items()}


@pytest.fixture
def real_folder(tmp_path):
    """Thirteen films of twelve persons, and their table."""
    folder, rows = tmp_path / "films", ["file,side,x1,y1,x2,y2"]
    folder.mkdir()
    for number in range(13):
        person = 9000000 + min(number, 11)
        name = f"0.C.2_{person}_{number:03d}.png"
        phantom = phantom_film((number % 5, 2), number, height=200)
        cv2.imwrite(str(folder / name), ~phantom.image if number == 3 else phantom.image)
        for side, (x, y, width, height) in boxes_of(phantom).items():
            rows.append(f"{name},{side},{x},{y},{x + width},{y + height}")
    table = tmp_path / "boxes.csv"
    table.write_text("\n".join(rows))
    return folder, table


def test_films_of_one_person_never_part(real_folder):
    splits = real_films(*real_folder, seed=0, kind="joint")
    persons = [{film.name[6:13] for film in films} for films in splits.values()]
    assert sum(map(len, splits.values())) == 13
    assert len(set.union(*persons)) == sum(map(len, persons)) == 12
    assert set(splits) == {"train", "validation", "test"} and all(splits.values())


def test_a_table_s_own_splits_stand_and_unsure_films_are_not_learnt_from(real_folder):
    folder, table = real_folder
    header, *rows = table.read_text().splitlines()
    train, validation = rows[:6], rows[6:10]
    table.write_text("\n".join(
        [f"{header},split,remark", *(f"{row},train," for row in train[:4]),
         *(f"{row},train,unsure" for row in train[4:]),
         *(f"{row},validation,unsure" for row in validation)]))
    splits = real_films(folder, table, seed=0)
    assert {split: len(films) for split, films in splits.items()} == {"train": 2, "validation": 2}


def test_an_image_that_is_too_small_is_named(tmp_path):
    for place in ("icons/icon.png", "crops/train/0/icon.png"):
        (tmp_path / place).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / place), np.eye(12, dtype=np.uint8) * 255)
    small = "icon.png: expected at least 16 pixels a side"
    with pytest.raises(ImageError, match=small):
        images_below(tmp_path / "icons")
    with pytest.raises(ImageError, match=small):
        square_crops(tmp_path / "crops", "train")


def test_a_box_without_a_pixel_names_its_film(real_folder):
    folder, table = real_folder
    name = next(folder.iterdir()).name
    table.write_text(f"file,side,x1,y1,x2,y2\n{name},R,10,10,10.4,10.4\n")
    with pytest.raises(ImageError, match=f"{name}: expected an image with pixels"):
        real_films(folder, table, seed=0, kind="joint")


@pytest.fixture
def other_images(tmp_path):
    folder = tmp_path / "others"
    (folder / "metal").mkdir(parents=True)
    for number in range(8):
        place = folder / ("metal" if number % 2 else "") / f"{number}.png"
        cv2.imwrite(str(place), draw_distractor("hand", (90, 80), np.random.default_rng(number)))
    return folder


def test_a_command_trains_on_all_kinds_of_images(real_folder, other_images, tmp_path, capsys):
    films, table = real_folder
    crops = tmp_path / "crops"
    for split in ("train", "validation"):
        (crops / split / "0").mkdir(parents=True)
        image = phantom_film((0, 0), 7, height=200).image[50:150, 40:140]
        cv2.imwrite(str(crops / split / "0" / f"{split}.png"), image)
    main(["--data", str(films), str(films), "--boxes", str(table), str(table), "--box-kind",
          "joint", "--crops", str(crops), "--distractors", str(other_images), "--implants",
          str(other_images / "metal"), "--output", str(tmp_path / "run"), "--films", "2",
          "--epochs", "1", "--steps", "1", "--batch-size", "2"])
    said = capsys.readouterr().out
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["synthetic"] is False
    assert list(results["held_out"]) == ["phantoms", "films", "films-2", "crops", "distractors",
                                         "implants"]
    kept = {folder: sum(is_held_out(path) for path in (other_images / folder).glob("*.png"))
            for folder in ("", "metal")}
    assert results["held_out"]["distractors"]["images"] == kept[""]
    assert results["held_out"]["implants"]["images"] == kept["metal"] and all(kept.values())
    for name in results["held_out"]:
        assert f"\n{name}: " in said


@pytest.mark.parametrize("name", ["phantoms", "crops", "implants"])
def test_a_folder_of_films_takes_no_name_of_the_results(name):
    assert _new_name(name, {"phantoms": []}) == f"{name}-2"
    assert _new_name("films", {"phantoms": []}) == "films"


def test_a_training_does_not_continue_on_other_films(real_folder, tmp_path, monkeypatch):
    films, table = real_folder
    asked = LocaliserRun((str(films),), (str(table),), "joint", films=2, epochs=2, steps=1,
                         batch_size=2, precision="float32")
    real_save = localiser.keras.Model.save_weights

    def killed(model, path):
        real_save(model, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(localiser.keras.Model, "save_weights", killed)
        run_localiser(asked, tmp_path / "run")
    table.write_text(table.read_text() + "\n")
    with pytest.raises(InputError, match="films has changed since this run started"):
        run_localiser(asked, tmp_path / "run")


def test_the_numbers_of_a_set_by_hand():
    film = localiser.KnownFilm(np.zeros((100, 200), np.uint8), "a film",
                                  [(10, 10, 50, 50), (120, 10, 50, 50)])

    class Finds:
        def joints(self, image):
            return [Joint((10, 10, 60, 60), 0.9), Joint((120, 10, 51, 51), 0.8)]

    numbers = summary(match_joints(Finds(), [film]))
    assert (numbers["films"], numbers["refused"], numbers["joints"]) == (1, 0, 2)
    assert numbers["found"] == 1 and numbers["jaccard_above_0.75"] == 0.5
    assert numbers["side_ratio_median"] == pytest.approx((1.2 + 1.02) / 2)
    assert numbers["side_within_15%"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "films"], "as many --boxes"),
        (["--boxes", "boxes.csv"], "as many --boxes"),
        (["--data", "films", "--boxes", "nowhere.csv"], "nowhere.csv"),
        (["--distractors", "nowhere"], "nowhere: no such folder"),
        (["--crops", "nowhere"], "nowhere"),
    ],
)
def test_bad_usage_is_one_sentence(arguments, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--output", str(tmp_path / "run")])
    printed = capsys.readouterr().err
    assert ended.value.code == 2 and said in printed and len(printed.splitlines()) == 1


def test_too_few_persons_are_refused(real_folder, tmp_path):
    films, table = real_folder
    rows = table.read_text().splitlines()
    table.write_text("\n".join(rows[:9]))
    with pytest.raises(InputError, match="films of only 4 persons"):
        run_localiser(LocaliserRun((str(films),), (str(table),), "joint"), tmp_path / "run")


def test_an_installation_that_is_killed_leaves_the_old_network(tmp_path, monkeypatch):
    def killed(source, path):
        path.write_bytes(b"ha")
        raise KeyboardInterrupt

    shipped = tmp_path / "localiser.onnx"
    shipped.write_bytes(b"old")
    results = {"held_out": {}}
    monkeypatch.setattr("knee_attention.films.localiser.SHIPPED", shipped)
    monkeypatch.setattr(localiser, "run_localiser", lambda *_: results)
    monkeypatch.setattr("shutil.copyfile", killed)
    with pytest.raises(SystemExit):
        main(["--output", str(tmp_path / "run"), "--install"])
    assert shipped.read_bytes() == b"old" and list(tmp_path.iterdir()) == [shipped]
