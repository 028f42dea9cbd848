"""A model of crops gets the crop of the joint from every kind of image."""

import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from stand_ins import SIZE, SQUARE, Uniform

import knee_attention
from knee_attention.commands.cli import main
from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import read_image
from knee_attention.films.joints import box_around, jaccard
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out
from knee_attention.grading.grader import Grader
from knee_attention.grading.rows import BOX, columns, csv_row, film_picture, knee_row
from knee_attention.networks.files.model_files import read_description, save_model
from knee_attention.networks.model import build_model
from knee_attention.runs.localiser.distractors import draw_distractor


@pytest.fixture(scope="module")
def half(phantom):
    return phantom.image[:, : phantom.image.shape[1] // 2]


def test_of_a_film_both_joints_are_cut_out(grader, phantom):
    knees = grader.grade(phantom.image)
    assert [knee.side for knee in knees] == ["R", "L"]
    for knee in knees:
        assert jaccard(knee.box, box_around(phantom.boxes[knee.side])) > 0.65
        crop = cut_out(phantom.image, knee.box)
        np.testing.assert_array_equal(knee.image, SQUARE.half(crop, knee.side, SIZE))
        row = knee_row("film.png", knee, False)
        assert row["box"] == list(knee.box) and set(csv_row(row)) <= set(columns(["att0"]))
        json.dumps(row)


def test_a_model_of_displaced_joints_grades_no_films():
    with pytest.raises(InputError, match="trained on displaced joints .* it grades no films"):
        Grader(Uniform(Preparation(crop="square", displaced=True)))


def test_of_half_a_film_the_joint_is_cut_out_and_a_crop_is_taken_as_it_is(
    grader, half, tmp_path
):
    [knee] = grader.grade(half)
    assert knee.side is None and knee.box
    cv2.imwrite(str(tmp_path / "9000001_L.png"), half)
    [named] = grader.grade(tmp_path / "9000001_L.png")
    assert named.side == "L" and named.box == knee.box
    crop = cut_out(half, knee.box)
    [given] = grader.grade(crop)
    assert given.box is None
    np.testing.assert_array_equal(given.image, SQUARE.knee(crop, SIZE))
    np.testing.assert_array_equal(given.image, knee.image)


def test_a_negative_film_is_inverted_first(grader, phantom):
    boxes = [knee.box for knee in grader.grade(phantom.image)]
    inverted = grader.grade(~phantom.image)
    assert [knee.box for knee in inverted] == boxes and all(knee.inverted for knee in inverted)


def test_a_model_of_halves_is_shown_halves(phantom):
    knees = Grader(Uniform(Preparation())).grade(phantom.image)
    assert [knee.box for knee in knees] == [None, None]
    assert knee_row("film.png", knees[0], False)["box"] is None


@pytest.mark.parametrize(
    "cutting",
    [
        Cutting("auto", (112, 112), crop="square"),
        Cutting("auto", (100, 150), equalize="none", flip_left=True, crop="antony"),
        Cutting("auto", (96, 64), "pad", crop="square"),
    ],
)
def test_graded_and_learnt_pixels_are_the_same(phantom, tmp_path, cutting):
    grader = Grader(Uniform(Preparation(cutting)))
    film = tmp_path / "9001695.png"
    cv2.imwrite(str(film), phantom.image)
    rows = Cutter(tmp_path / "knees", cutting)(film)
    for row, knee in zip(rows, grader.grade(film), strict=True):
        learnt = Preparation(cutting).knee(read_image(tmp_path / "knees" / row["file"]), SIZE)
        np.testing.assert_array_equal(knee.image, learnt)
        assert [row[name] for name in ("x", "y", "width", "height")] == list(knee.box)
    film_picture(grader.grade(film), True)


def test_what_a_file_does_not_say_can_be_said_and_what_it_says_stands(tmp_path, phantom):
    model = build_model("antony_clsf", ("att1",), "single", SIZE)
    path = tmp_path / "model.h5"
    save_model(model, path, {})
    assert not knee_attention.load_grader(path).preparation.shows_joints
    told = knee_attention.load_grader(path, crop="square")
    assert all(knee.box for knee in told.grade(phantom.image))
    save_model(model, path, SQUARE.described())
    assert knee_attention.load_grader(path).preparation == SQUARE
    with pytest.raises(InputError, match="cannot be halves of films: .* they are square crops"):
        knee_attention.load_grader(path, crop="half")
    save_model(model, path, Preparation(Cutting()).described())
    with pytest.raises(InputError, match="cannot be square crops of joints: .* they are halves"):
        knee_attention.load_grader(path, crop="square")


@pytest.fixture(scope="module")
def onnx_model(tmp_path_factory):
    """A VGG-16 of the public set's image size, for crops, as ONNX."""
    pytest.importorskip("onnx")
    from knee_attention.networks.files.onnx_export import export_onnx

    folder = tmp_path_factory.mktemp("model")
    model = build_model("vgg16", ("att0", "att1"), "multi_loss", (224, 224))
    save_model(model, folder / "model.h5", {"chosen": "att0", **SQUARE.described()})
    export_onnx(model, folder / "model.onnx", read_description(folder / "model.h5"))
    return folder / "model.onnx"


def test_the_command_gives_boxes_pictures_and_one_sentence(
    onnx_model, phantom, tmp_path, capsys
):
    film, chest = tmp_path / "film.png", tmp_path / "chest.png"
    cv2.imwrite(str(film), phantom.image)
    cv2.imwrite(str(chest), draw_distractor("chest", (320, 260), np.random.default_rng(4)))
    asked = ["--model", str(onnx_model), "--csv", str(tmp_path / "out.csv"), "--overlay",
             str(tmp_path / "out")]  # fmt: skip
    main(["grade", str(film), "--json", *asked])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(row["box"]) for row in rows] == [4, 4]
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    for row, cell in zip(rows, cells, strict=True):
        assert row["box"] == [int(cell[name]) for name in BOX]
        assert row["att0_p0"] == round(row["att0_p0"], 6) == float(cell["att0_p0"])
    assert cv2.imread(str(tmp_path / "out" / "film.png")).shape[1] > 1500
    with pytest.raises(SystemExit) as ended:
        main(["grade", str(chest), "--model", str(onnx_model)])
    said = capsys.readouterr()
    assert ended.value.code == 2 and "KL" not in said.out.partition("\n")[2]
    assert "chest.png: no knee joint found (score 0." in said.err


def test_a_film_is_graded_without_keras(onnx_model, phantom, tmp_path):
    cv2.imwrite(str(tmp_path / "film.png"), phantom.image)
    script = (
        "import sys; from knee_attention.commands.cli import main; "
        f"main(['grade', {str(tmp_path / 'film.png')!r}, '--model', {str(onnx_model)!r}]); "
        "print([n for n in ('keras', 'tensorflow', 'jax', 'sklearn', 'pandas') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stderr
