"""A training of the localiser: its views, its folder, how it goes on, what it refuses."""

import json
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from knee_attention.commands.localiser import main
from knee_attention.errors import InputError
from knee_attention.files import read_json
from knee_attention.films.joints import box_around, line_of
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.localiser import run as localiser
from knee_attention.runs.localiser.films import phantom_films, real_films
from knee_attention.runs.localiser.run import run_localiser
from knee_attention.runs.localiser.setting import LocaliserRun
from knee_attention.runs.localiser.views import KINDS, BoxedFilm, LocaliserViews, film_view
from knee_attention.runs.run_folder import Run

pytest.importorskip("onnx")
SMALL = LocaliserRun(films=4, epochs=2, steps=2, batch_size=2, precision="float32")


@pytest.fixture(autouse=True)
def few_phantoms(monkeypatch):
    monkeypatch.setattr(localiser, "PHANTOMS", {"validation": 2, "test": 2})
    monkeypatch.setattr(localiser, "VALIDATION_BATCHES", 1)


@pytest.fixture(scope="module")
def films():
    return phantom_films(3, "train", 0)


def test_every_split_has_phantoms_of_its_own():
    films = [phantom_films(2, split, 0)[0].image for split in ("train", "validation", "test")]
    assert len({film.tobytes() for film in films}) == 3


@pytest.mark.parametrize("kind", ["film", "half", "band", "leg"])
def test_a_view_shows_where_the_joint_lines_are(films, kind):
    rng = np.random.default_rng(3)
    for _ in range(10):
        square, lines = film_view(films[0], kind, rng)
        assert square.shape == lines.shape == (256, 256)
        assert set(np.unique(lines)) == {0, 1}
        count, _ = cv2.connectedComponents(lines)
        assert count - 1 == {"film": 2, "leg": 1}.get(kind, count - 1)


@pytest.mark.parametrize("kind", ["turned", "shaft"])
def test_a_view_without_a_joint_to_find_has_an_empty_map(films, kind):
    rng = np.random.default_rng(4)
    assert not any(film_view(films[1], kind, rng)[1].any() for _ in range(10))


def test_a_box_comes_to_lie_where_the_film_shows_it(monkeypatch):
    """A film that is bright on its joint lines alone stays so in every view."""
    from knee_attention.runs.localiser import views as localiser_views

    monkeypatch.setattr(localiser_views, "varied", lambda image, rng: image)
    image, boxes = np.full((500, 600), 60, np.uint8), {"R": (60, 150, 170, 170)}
    boxes["L"] = (380, 170, 170, 170)
    for box in boxes.values():
        x, y, width, height = map(round, line_of(box))
        image[y : y + height, x : x + width] = 250
    film = BoxedFilm.of(image, boxes, "bright")
    rng = np.random.default_rng(5)
    for kind in ("film", "half", "band", "leg"):
        for _ in range(8):
            square, lines = film_view(film, kind, rng)
            bright = square == square.max()
            both = (bright & (lines > 0)).sum() / (bright | (lines > 0)).sum()
            assert both > 0.75, kind


def test_batches_follow_from_seed_and_number(films):
    views = LocaliserViews(films, 3, seed=1)
    whole = list(views.batches(0, 4))
    rest = list(views.batches(2, 4))
    for (images, maps), (again, maps_again) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(maps, maps_again)
    assert whole[0][0].shape == whole[0][1].shape == (3, 256, 256, 1)
    assert sum(KINDS.values()) == pytest.approx(1)


def test_a_run_leaves_the_network_the_numbers_and_the_pictures(tmp_path, capsys):
    results = run_localiser(SMALL, tmp_path / "run")
    folder = tmp_path / "run"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert there == {"experiment.json", "history.csv", "localiser.onnx", "joints.csv",
                     "results.json", "environment.json", "figures", "figures/found.png",
                     "figures/failures.png"}  # fmt: skip
    assert results == read_json(tmp_path / "run" / "results.json")
    assert results["convolution_weights"] == 212_769 and results["test"]["joints"] == 4
    assert results["synthetic"] is True
    assert len((tmp_path / "run" / "joints.csv").read_text().splitlines()) == 5
    capsys.readouterr()
    assert run_localiser(SMALL, tmp_path / "run") == results
    assert "finished before" in capsys.readouterr().out
    with pytest.raises(InputError, match="holds another experiment"):
        run_localiser(LocaliserRun(films=5, epochs=2), tmp_path / "run")


def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    run_localiser(SMALL, tmp_path / "whole")
    real_save = localiser.keras.Model.save_weights
    saved = []

    def save_once(model, path):
        real_save(model, path)
        saved.append(path)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(localiser.keras.Model, "save_weights", save_once)
    with pytest.raises(KeyboardInterrupt):
        run_localiser(SMALL, tmp_path / "killed")
    assert (tmp_path / "killed" / "checkpoint.weights.h5").exists()
    run_localiser(SMALL, tmp_path / "killed")
    histories = [
        pd.read_csv(tmp_path / name / "history.csv")[["loss", "val_loss"]]
        for name in ("whole", "killed")
    ]
    np.testing.assert_allclose(*histories, rtol=1e-3)


def test_a_training_outlives_an_export_that_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise InputError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(InputError, match="the disk is full"):
        patch.setattr(localiser, "export_localiser", fail)
        run_localiser(SMALL, tmp_path / "run")
    trained = (tmp_path / "run" / "history.csv").read_text()
    run_localiser(SMALL, tmp_path / "run")
    assert (tmp_path / "run" / "history.csv").read_text() == trained
    assert not (tmp_path / "run" / "checkpoint.weights.h5").exists()


def test_an_epoch_whose_state_was_not_written_is_trained_again(tmp_path, monkeypatch):
    """The history is written first, the state after it."""
    run_localiser(SMALL, tmp_path / "whole")
    real_save, saved = localiser.keras.Model.save_weights, []

    def save_first(model, path):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        real_save(model, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(localiser.keras.Model, "save_weights", save_first)
        run_localiser(SMALL, tmp_path / "killed")
    assert len(pd.read_csv(tmp_path / "killed" / "history.csv")) == 2
    run_localiser(SMALL, tmp_path / "killed")
    losses = [pd.read_csv(tmp_path / name / "history.csv")["loss"] for name in ("whole", "killed")]
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_a_folder_of_another_kind_of_run_is_refused(tmp_path):
    Run(tmp_path).begin(Experiment(), [])
    with pytest.raises(InputError, match="holds another experiment .name 'vgg16_att0'"):
        run_localiser(SMALL, tmp_path)


def test_what_could_not_be_kept_is_not_trained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match="needs the package onnx"):
        run_localiser(SMALL, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def real_folder(tmp_path):
    """Films of twelve persons, two of one of them, and their table."""
    folder, rows = tmp_path / "films", ["file,side,x1,y1,x2,y2"]
    folder.mkdir()
    for number in range(13):
        person = 9000000 + min(number, 11)
        name = f"0.C.2_{person}_{number:03d}.png"
        phantom = phantom_film((number % 5, 2), number, height=200)
        image = ~phantom.image if number == 3 else phantom.image
        cv2.imwrite(str(folder / name), image)
        for side, region in phantom.boxes.items():
            x, y, width, height = map(round, box_around(region))
            x, y = max(x, 0), max(y, 0)
            right, bottom = (min(x + width, image.shape[1]), min(y + height, image.shape[0]))
            rows.append(f"{name},{side},{x},{y},{right},{bottom}")
    table = tmp_path / "boxes.csv"
    table.write_text("\n".join(rows))
    return folder, table


def test_films_of_one_person_never_part(real_folder):
    splits = real_films(*real_folder, seed=0)
    persons = [{film.name[6:13] for film in films} for films in splits.values()]
    assert sum(map(len, splits.values())) == 13
    assert len(set.union(*persons)) == sum(map(len, persons)) == 12
    assert all(splits.values())


def test_a_command_trains_on_films_and_boxes(real_folder, tmp_path, capsys):
    films, table = real_folder
    main(["--data", str(films), "--boxes", str(table), "--output", str(tmp_path / "run"),
          "--epochs", "1", "--steps", "1", "--batch-size", "2"])
    said = capsys.readouterr().out
    assert "films of the test" in said and "phantom" not in said.splitlines()[-2]
    assert json.loads((tmp_path / "run" / "results.json").read_text())["synthetic"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "films"], "--data needs --boxes"),
        (["--boxes", "boxes.csv"], "--boxes needs --data"),
        (["--data", "films", "--boxes", "nowhere.csv"], "nowhere.csv"),
        (["--data", "films", "--boxes", "boxes.csv", "--install"], "--install takes a localiser"),
        (["--data", "films", "--boxes", "boxes.csv", "--films", "5"], "--films draws phantoms"),
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
    with pytest.raises(InputError, match="films of 4 persons"):
        run_localiser(LocaliserRun(data=str(films), boxes=str(table)), tmp_path / "run")


def test_an_installation_that_is_killed_leaves_the_old_network(tmp_path, monkeypatch):
    def killed(source, path):
        path.write_bytes(b"ha")
        raise KeyboardInterrupt

    shipped = tmp_path / "localiser.onnx"
    shipped.write_bytes(b"old")
    results = {"synthetic": True, "films": 2, "test": dict.fromkeys(
        ("joints", "found", "jaccard_mean", "jaccard_median", "jaccard_lowest",
         "jaccard_above_0.75"), 0)}  # fmt: skip
    monkeypatch.setattr("knee_attention.films.localiser.SHIPPED", shipped)
    monkeypatch.setattr(localiser, "run_localiser", lambda *_: results)
    monkeypatch.setattr("shutil.copyfile", killed)
    with pytest.raises(SystemExit):
        main(["--output", str(tmp_path / "run"), "--install"])
    assert shipped.read_bytes() == b"old" and list(tmp_path.iterdir()) == [shipped]
