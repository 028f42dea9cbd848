"""`knee-attention grade`, `info` and `export`: arguments, output and files."""

import csv
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from knee_attention.commands.cli import main
from knee_attention.commands.grade_results import output_files
from knee_attention.evidence.figures.pictures import captioned
from knee_attention.grading.grader import load_grader
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run import run

SMALL = Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss",
                   loss_weights=(1.0, 0.8), image_size=(96, 96), epochs=1, batch_size=8,
                   precision="float32", learning_rate=1e-3)
pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


@pytest.fixture(scope="module")
def knees(tmp_path_factory):
    """A data folder of knees that are halves of phantom films."""
    root = tmp_path_factory.mktemp("data") / "knees"
    for number in range(20):
        split = ("train", "validation", "test")[number % 3]
        grades = (number % 5, (number + 2) % 5)
        image = phantom_film(grades, seed=number, height=200).image
        middle = image.shape[1] // 2
        halves = {"R": image[:, :middle], "L": image[:, middle:]}
        for grade, (side, half) in zip(grades, halves.items(), strict=True):
            path = root / split / str(grade) / f"{9000000 + number}{side}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), half)
    return root


@pytest.fixture(scope="module")
def trained(knees, tmp_path_factory):
    """The folder of a run on these knees, with model.onnx beside the two other models."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(replace(SMALL, data=str(knees)), folder)
    with suppress(SystemExit):
        main(["export", str(folder / "model.h5"), str(folder / "model.onnx")])
    return folder


@pytest.fixture
def quick_model(trained):
    """The model that a new process loads without Keras, where onnx is installed."""
    return next(filter(Path.exists, (trained / "model.onnx", trained / "model.h5")))


def grade(*arguments):
    main(["grade", *map(str, arguments)])


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".h5", 1e-5), (".keras", 1e-5), (".onnx", 1e-4)]
)
def test_grading_its_own_test_split_repeats_predictions_csv(
    trained, knees, tmp_path, suffix, tolerance
):
    model = trained / f"model{suffix}"
    if not model.exists():
        pytest.skip("onnx is not installed")
    grade(knees / "test", "--model", model, "--csv", tmp_path / "grades.csv", "--batch-size", 5)
    graded = pd.read_csv(tmp_path / "grades.csv")
    graded.index = [path.rsplit("/", 1)[1] for path in graded["file"]]
    run_said = pd.read_csv(trained / "predictions.csv")
    run_said.index = [path.rsplit("/", 1)[-1] for path in run_said["file"]]
    assert set(graded.index) == set(run_said.index) and len(graded) == len(run_said)
    graded = graded.loc[run_said.index]
    columns = [f"{output}_p{k}" for output in ("att1", "att2") for k in range(5)]
    np.testing.assert_allclose(graded[columns], run_said[columns], atol=tolerance)
    assert (graded["grade"] == run_said["prediction"]).all()
    assert list(graded["side"]) == [name[7] for name in graded.index]


def test_a_film_shows_two_lines_and_one_that_says_what_it_is_not(trained, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "film.png"), phantom_film((0, 4), seed=3, height=256).image)
    grade(tmp_path / "film.png", "--model", trained / "model.h5")
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 4 and lines[0].split()[:3] == ["file", "side", "KL"]
    assert [line.split()[1] for line in lines[1:3]] == ["R", "L"]
    shares = [float(share) for share in lines[1].split()[3:8]]
    assert sum(shares) == pytest.approx(1, abs=0.03)
    assert lines[3] == "Research use only, not a medical device."


def test_json_lines_hold_nothing_else(trained, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "film.png"), phantom_film((0, 4), seed=3, height=256).image)
    grade(tmp_path / "film.png", "--model", trained / "model.h5", "--json")
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["side"] for row in rows] == ["R", "L"]
    assert [row["synthetic_model"] for row in rows] == [False, False]
    assert sum(rows[0][f"ensemble_p{k}"] for k in range(5)) == pytest.approx(1)
    assert "not a medical device" in shown.err


def test_a_picture_replaces_no_radiograph(trained, tmp_path, refused):
    film = tmp_path / "film.png"
    cv2.imwrite(str(film), phantom_film((0, 4), seed=3, height=256).image)
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "film.png"
    other.write_bytes(film.read_bytes())
    said = refused("grade", film, "--model", trained / "model.h5", "--overlay", tmp_path / "more")
    assert "is not a picture of an earlier grading" in said
    assert other.read_bytes() == film.read_bytes()
    for _ in range(2):  # pictures of an earlier grading are replaced
        grade(film, "--model", trained / "model.h5", "--overlay", tmp_path / "pictures")


def test_a_uid_has_no_suffix_to_lose():
    uids = [Path(f"in/1.2.840.{number}") for number in (1001, 1002)]
    named = output_files([*uids, Path("in/a.dcm"), Path("in/b.PNG"), Path("on/a.dcm")],
                         Path("out"), "_sr.dcm")  # fmt: skip
    assert [path.name for path in named] == [
        "1.2.840.1001_sr.dcm", "1.2.840.1002_sr.dcm", "a_sr.dcm", "b_sr.dcm", "a-2_sr.dcm",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [
    ("film.png", "--model", ""), ("film.png", "--csv", ""), ("film.png", "--overlay", ""), ("",),
])  # fmt: skip
def test_an_empty_name_is_not_the_working_directory(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["grade", *arguments])
    assert ended.value.code == 2 and "empty" in capsys.readouterr().err


def test_a_film_of_any_name_has_its_row(trained, tmp_path):
    name = os.fsdecode(b"M\xfcller.png")
    cv2.imwrite(str(tmp_path / "film.png"), phantom_film((0, 4), seed=3, height=256).image)
    (tmp_path / "film.png").rename(tmp_path / name)
    grade(tmp_path / name, "--model", trained / "model.h5", "--csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().count(b"M\xfcller.png") == 2


def test_turned_negatives_are_counted_and_marked(trained, tmp_path, capsys):
    film = phantom_film((0, 4), seed=3, height=256).image
    cv2.imwrite(str(tmp_path / "film.png"), film)
    cv2.imwrite(str(tmp_path / "negative.png"), ~film)
    table = tmp_path / "out.csv"
    grade(tmp_path, "--model", trained / "model.h5", "--csv", table)
    assert "inverted photographic negatives: 1 of 2 files" in capsys.readouterr().out
    graded = pd.read_csv(table)
    assert graded["inverted"].tolist() == [False, False, True, True]
    assert graded["grade"][:2].tolist() == graded["grade"][2:].tolist()
    grade(tmp_path / "negative.png", "--model", trained / "model.h5", "--json", "--polarity",
          "as-is", "--view", "single")
    assert [json.loads(row)["inverted"] for row in capsys.readouterr().out.splitlines()] == [False]


def test_overlays_have_a_picture_a_file_even_for_files_of_one_name(trained, knees, tmp_path):
    source = next(knees.rglob("test/*/*.png"))
    for name in ("a/knee.png", "b/knee.png", "b/knee-2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(source.read_bytes())
    out = tmp_path / "out"
    grade(tmp_path / "a", tmp_path / "b", source, source, "--model", trained / "model.h5",
          "--overlay", out)
    pictures = sorted(path.name for path in out.iterdir())
    assert len(pictures) == 5
    colours = cv2.imread(str(out / pictures[0]))
    assert (colours[..., 2].astype(int) - colours[..., 0]).max() > 50


@pytest.mark.parametrize("branches", [("att1", "att2"), ("att1",)])
def test_a_picture_shows_each_knee_with_every_branch_or_with_one(trained, tmp_path, branches):
    cv2.imwrite(str(tmp_path / "film.png"), phantom_film((0, 4), seed=3, height=256).image)
    one = ("--branch", *branches) if len(branches) == 1 else ()
    grade(tmp_path / "film.png", "--model", trained / "model.h5", "--overlay", tmp_path / "out",
          *one)
    rows = []
    for knee in load_grader(trained / "model.h5").grade(tmp_path / "film.png"):
        side = {"R": "right", "L": "left"}[knee.side]
        share = knee.probabilities[knee.grade]
        caption = f"{side} knee: {knee.words}, P {share:.2f} by {knee.chosen}"
        caption += ", look again" if knee.look_again else ""
        masks = {branch: knee.branch_masks[branch] for branch in branches}
        rows.append(captioned(knee.image, masks, caption))
    picture = cv2.imread(str(tmp_path / "out" / "film.png"))
    np.testing.assert_array_equal(picture, np.vstack(rows))


def test_masks_are_written_as_values_and_as_pictures(trained, tmp_path, refused, capsys):
    cv2.imwrite(str(tmp_path / "film.png"), phantom_film((0, 4), seed=3, height=256).image)
    command = (tmp_path / "film.png", "--model", trained / "model.h5", "--masks", tmp_path / "out")
    for _ in range(2):  # masks of an earlier grading are replaced
        grade(*command)
    for knee in load_grader(trained / "model.h5").grade(tmp_path / "film.png"):
        name = tmp_path / "out" / f"film_{knee.side}"
        for branch, mask in knee.branch_masks.items():
            np.testing.assert_array_equal(np.load(f"{name}_{branch}.npy"), mask)
            levels = cv2.imread(f"{name}_{branch}.png", cv2.IMREAD_UNCHANGED)
            np.testing.assert_allclose(levels / 255, knee.masks[branch], atol=0.003)
        shown = cv2.imread(f"{name}_knee.png", cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(shown, knee.image)
    assert len(list((tmp_path / "out").iterdir())) == 2 * (1 + 2 * 2)
    cv2.imwrite(str(tmp_path / "out" / "film.png"), shown)
    capsys.readouterr()
    said = refused("grade", *command)
    assert "is not a picture of an earlier grading; choose another --masks" in said
    said = refused("grade", *command[:3], "--branch", "att0", "--overlay", tmp_path / "drawn")
    assert "no branch 'att0'; its branches: att1, att2" in said


@pytest.mark.parametrize("linked", [False, True])
def test_a_film_is_never_drawn_over(trained, knees, tmp_path, refused, linked):
    films = tmp_path / "films"
    films.mkdir()
    for name, source in zip(("a.png", "b.jpg"), knees.rglob("test/*/*.png"), strict=False):
        (films / name).write_bytes(source.read_bytes())
    pictures = films
    if linked:
        pictures = tmp_path / "other name"
        pictures.symlink_to(films)
    before = (films / "a.png").read_bytes()
    said = refused("grade", films, "--model", trained / "model.h5", "--overlay", pictures)
    assert f"{pictures / 'a.png'}: this input file would be overwritten" in said
    assert (films / "a.png").read_bytes() == before


def test_pictures_below_the_films_are_no_films(trained, knees, tmp_path, capsys):
    (tmp_path / "film.png").write_bytes(next(knees.rglob("test/*/*.png")).read_bytes())
    for _ in range(2):
        grade(tmp_path, "--model", trained / "model.h5", "--overlay", tmp_path / "pictures")
        shown = capsys.readouterr()
        assert len(shown.out.strip().splitlines()) == 4 and "not graded" not in shown.err
    with pytest.raises(SystemExit):
        grade(tmp_path / "pictures" / "film.png", "--model", trained / "model.h5")
    assert "a picture that knee_attention drew, not a radiograph" in capsys.readouterr().err


def test_one_bad_file_is_listed_and_the_rest_goes_on(trained, knees, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no image")
    good = next(knees.rglob("test/*/*.png"))
    table = tmp_path / "out.csv"
    grade(good, tmp_path / "bad.png", good, "--model", trained / "model.h5", "--csv", table)
    shown = capsys.readouterr()
    assert "not graded" in shown.err and "1 of 3 files" in shown.err
    rows = list(csv.DictReader(table.open()))
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    first, last = (
        [float(row[f"att1_p{k}"]) for k in range(5)] for row in (rows[0], rows[2])
    )
    assert first == pytest.approx(last, abs=1e-6)


def test_a_table_for_which_there_is_no_room_is_one_sentence(
    quick_model, knees, tmp_path, full_disk
):
    table = tmp_path / "out.csv"
    command = [sys.executable, "-m", "knee_attention", "grade", knees, "--model", quick_model,
               "--csv", table]  # fmt: skip
    with full_disk():
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    said = f"knee-attention grade: {table} cannot be written: File too large"
    assert done.stderr.strip().splitlines()[-1] == said and not list(tmp_path.iterdir())


def test_what_cannot_be_is_refused_before_grading(trained, knees, tmp_path, refused):
    model = trained / "model.h5"
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("in the way")
    for arguments, message in [
        ((tmp_path / "empty", "--model", model), "no images in this folder"),
        ((knees, "--model", tmp_path / "none.h5"), "no such model file"),
        ((knees, "--model", model, "--csv", tmp_path / "file" / "x.csv"), "cannot be written"),
        ((knees, "--model", model, "--csv", tmp_path / "folder.csv"), "it is a folder"),
        ((knees, "--model", model, "--overlay", tmp_path / "file"), "it is a file"),
        ((knees, "--model", model, "--csv", tmp_path / "film.jpg"), "a table must end in .csv"),
        ((knees, "--model", model, "--branch", "att1"), "--branch needs --overlay DIR"),
        (("", "--model", model), "an empty name"),
    ]:
        assert message in refused("grade", *arguments)


def test_nothing_gradable_ends_with_two(trained, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        grade(tmp_path / "none.png", "--model", trained / "model.h5")
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert "none.png: No such file" in "".join(said) and "no file could be graded" in said[-1]


def test_a_reader_that_has_seen_enough_ends_it_quietly(quick_model, knees):
    command = [sys.executable, "-u", "-m", "knee_attention", "grade", knees, "--model", quick_model,
               "--batch-size", "1"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("file")
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141


def test_info_says_how_a_model_came_to_be(trained, knees, capsys):
    names = ["", "model.h5", "model.keras"] + ["model.onnx"] * (trained / "model.onnx").exists()
    for name in names:
        main(["info", str(trained / name)])
        said = capsys.readouterr().out
        for part in ("antony_clsf_multiloss", "branches att1, att2, multi loss", "96x96 grey",
                     str(knees), "test knees", "accuracy", "hist"):  # fmt: skip
            assert part in said, name


def test_export_asks_for_an_onnx_name(trained, tmp_path, refused):
    said = refused("export", trained / "model.h5", tmp_path / "model.h5")
    assert "must end in .onnx" in said
