"""Films with a uniform border, halves that give their side, and negatives that are refused."""

import csv
import json

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from stand_ins import SIZE, SQUARE, Uniform

from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import ImageError
from knee_attention.films import network_input
from knee_attention.films.cutting import Cutting
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.joints import Joint
from knee_attention.films.preparation import Preparation
from knee_attention.grading.grader import Grader
from knee_attention.grading.rows import columns, csv_row, knee_row
from knee_attention.phantoms.film import phantom_film

BORDERS = (9, 9, 14, 14)
TRIMMED = [14, 9, 14, 9]


def framed(image, grey=0, borders=BORDERS):
    return cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=grey)


@pytest.fixture(scope="module")
def film():
    return phantom_film((1, 3), seed=9041).image


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("preparation", [SQUARE, Preparation()], ids=["joints", "halves"])
def test_a_framed_film_is_graded_as_the_film(film, preparation, grey):
    grader = Grader(Uniform(preparation))
    plain, others = grader.grade(film), grader.grade(framed(film, grey))
    assert len(plain) == len(others) == 2
    for knee, other in zip(plain, others, strict=True):
        np.testing.assert_array_equal(knee.image, other.image)
        assert not knee.frame and other.frame.pixels == TRIMMED
        if knee.box:
            left, top, *size = knee.box
            assert other.box == (left + 14, top + 9, *size)
            assert other.place.film.shape == framed(film).shape


def test_a_framed_crop_is_graded_as_the_crop(film):
    grader = Grader(Uniform(SQUARE))
    left, top, width, height = grader.grade(film)[0].box
    crop = film[top : top + height, left : left + width]
    [plain], [other] = grader.grade(crop, "crop"), grader.grade(framed(crop), "crop")
    np.testing.assert_array_equal(plain.image, other.image)
    row = knee_row("film.png", other, False)
    assert row["trimmed"] == TRIMMED and set(csv_row(row)) <= set(columns(["att0"]))
    assert knee_row("film.png", plain, False)["trimmed"] is None
    json.dumps(row)


@pytest.mark.parametrize("crop", ["half", "square"])
def test_split_knees_cuts_a_framed_film_as_the_film_and_says_so(film, tmp_path, crop):
    cutting = Cutting(size=(96, 96), crop=crop)
    rows = {}
    for name, image in (("plain", film), ("framed", framed(film))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
        rows[name] = Cutter(tmp_path / "knees", cutting)(tmp_path / f"{name}.png")
    for plain, other in zip(rows["plain"], rows["framed"], strict=True):
        knee, same = ((tmp_path / "knees" / row["file"]).read_bytes() for row in (plain, other))
        assert knee == same
        assert (plain["trimmed"], other["trimmed"]) == ("", "14 9 14 9")
        if crop == "square":
            assert (other["x"], other["y"]) == (plain["x"] + 14, plain["y"] + 9)


def test_a_data_set_of_framed_crops_is_learnt_from_as_one_of_crops(film, tmp_path):
    crop = film[150:300, 100:250]
    for split in ("train", "validation"):
        for name, image in (("a", crop), ("b", framed(crop))):
            place = tmp_path / split / "0" / f"{split}{name}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), image)
    data = load_dataset(tmp_path, SIZE)
    for split, knees in data.splits.items():
        np.testing.assert_array_equal(knees.images[0], knees.images[1])
        assert knees.trimmed == [f"{split}/0/{split}b.png"]
    assert len(data.trimmed) == 2


def test_a_command_says_what_it_took_off(film, tmp_path, capsys, monkeypatch):
    from knee_attention.commands.cli import main

    monkeypatch.setattr("knee_attention.grading.grader.load_grader",
                        lambda *_: Grader(Uniform(SQUARE)))  # fmt: skip
    (tmp_path / "model.onnx").write_bytes(b"model")
    cv2.imwrite(str(tmp_path / "film.png"), framed(film))
    main(["grade", str(tmp_path / "film.png"), "--model", str(tmp_path / "model.onnx"),
          "--csv", str(tmp_path / "table.csv")])
    assert "film.png: cropped off a uniform border" in capsys.readouterr().err
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [row["trimmed"] for row in csv.DictReader(file)] == ["14 9 14 9"] * 2


FILM = np.random.default_rng(0).integers(0, 256, (200, 240), np.uint8)


@pytest.fixture
def a_single_joint_with_a_side_by_its_place(monkeypatch):
    box = (130, 60, 80, 80)
    crop = JointCrop("L", FILM[60:140, 130:210], Joint(box, 0.9, "L"), box)
    monkeypatch.setattr(network_input, "joint_crops", lambda *_: [crop])


@pytest.mark.usefixtures("a_single_joint_with_a_side_by_its_place")
@pytest.mark.parametrize(("name", "side"), [("9001695_R.png", "R"), ("9001695_L.png", "L"),
                                            ("film.png", None)])
def test_by_its_name(tmp_path, name, side):
    cv2.imwrite(str(tmp_path / name), FILM)
    [knee] = Grader(Uniform(SQUARE)).grade(tmp_path / name)
    assert knee.side == side


@pytest.mark.usefixtures("a_single_joint_with_a_side_by_its_place")
@pytest.mark.parametrize("keyword", ["ImageLaterality", "Laterality"])
def test_by_its_header(tmp_path, keyword):
    pytest.importorskip("pydicom")
    film = FILM.astype(np.uint16) * 16
    write_dicom(tmp_path / "film_L.dcm", film, **{keyword: "R"})
    [knee] = Grader(Uniform(SQUARE)).grade(tmp_path / "film_L.dcm")
    assert knee.side == "R"


INVERTED = "(it is a photographic negative and was inverted first)"


@pytest.fixture(scope="module")
def knee():
    """Half of a film, which does not show both knees."""
    film = phantom_film((1, 3), 5, 256).image
    return film[:, : film.shape[1] // 2]


@pytest.mark.parametrize(("polarity", "inverted"), [("auto", True), ("as-is", False)])
def test_a_refused_negative_is_said_to_be_inverted(knee, tmp_path, polarity, inverted):
    grader = Grader(Uniform(Preparation()), polarity)
    cv2.imwrite(str(tmp_path / "film.png"), ~knee)
    for image in (~knee, tmp_path / "film.png"):
        with pytest.raises(ImageError) as refused:
            grader.grade(image, view="bilateral")
        assert refused.value.reason.endswith(INVERTED) == inverted


def test_a_refused_positive_is_not(knee):
    with pytest.raises(ImageError) as refused:
        Grader(Uniform(Preparation())).grade(knee, view="bilateral")
    assert "inverted" not in refused.value.reason
