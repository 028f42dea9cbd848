"""Pictures, page and report show a crop and its attention at their place on the film."""

import base64
import json

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from stand_ins import SIZE, SQUARE, Uniform

from knee_attention.evidence.figures.pictures import captioned
from knee_attention.films.cutting import Cutting
from knee_attention.films.inputs import FileInMemory
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out
from knee_attention.grading.graded_knee import seen_around
from knee_attention.grading.grader import Grader
from knee_attention.grading.rows import film_picture


def test_the_film_comes_first_with_the_boxes_of_its_knees(grader, phantom):
    knees = grader.grade(phantom.image)
    picture, film = film_picture(knees, False), knees[0].place.film
    scale = 480 / film.shape[0]
    panel = picture[8:488, 8 : 8 + round(film.shape[1] * scale)].astype(int)
    coloured = np.ptp(panel, axis=2) > 60
    for knee in knees:
        left, top, width, height = (value * knee.place.scale * scale for value in knee.box)
        edge = coloured[round(top + height / 2), round(left) - 3 : round(left) + 4]
        assert edge.any()
        middle = slice(round(top) + 9, round(top + height) - 9)
        assert not coloured[middle, round(left) + 9 : round(left + width) - 9].any()


def test_mirrored_knees_have_their_attention_the_right_way_round(phantom):
    cutting = Cutting("auto", SIZE, flip_left=True, crop="square")
    right, left = Grader(Uniform(Preparation(cutting))).grade(phantom.image)
    for knee, on_left in ((right, True), (left, False)):
        _, (x, y, width, height), masks = seen_around(knee)
        levels = masks["att0"][y : y + height // 3, x : x + width, 3].mean(axis=0)
        assert (levels[: width // 4].mean() > levels[-width // 4 :].mean()) == on_left


@pytest.mark.parametrize("crop", ["half", "square"])
def test_mirrored_knees_are_shown_as_the_film_has_them(phantom, tmp_path, crop):
    plain, mirrored = (
        Grader(Uniform(Preparation(Cutting("auto", SIZE, flip_left=flip_left, crop=crop))))
        for flip_left in (False, True)
    )
    left, turned = (grader.grade(phantom.image)[1] for grader in (plain, mirrored))
    np.testing.assert_array_equal(turned.image[:, ::-1], left.image)
    mirror = {branch: mask[:, ::-1] for branch, mask in left.branch_masks.items()}
    expected = captioned(left.image, mirror, "")[:510]
    panel = film_picture([turned], False)[:510, -expected.shape[1] :]
    np.testing.assert_array_equal(panel, expected)
    if crop == "half":
        answers = pytest.importorskip("knee_attention.grading.web.answers")
        film = FileInMemory("film.png", cv2.imencode(".png", phantom.image)[1].tobytes())
        view = json.loads(answers.ANSWERS["view"](film, mirrored).body)[1]
        np.testing.assert_array_equal(decoded(view["picture"]), left.image)
        levels = decoded(view["masks"]["att0"])[..., 3]
        assert levels[:30, -30:].min() == 255 and not levels[:, :30].any()
    cv2.imwrite(str(tmp_path / "9000001_L.png"), turned.image)
    [given] = mirrored.grade(tmp_path / "9000001_L.png", "crop")
    np.testing.assert_array_equal(given.as_on_film(given.image), given.image)


def test_the_page_is_given_the_box_in_pixels_of_its_picture(grader, phantom):
    for knee in grader.grade(phantom.image):
        picture, (x, y, width, height), masks = seen_around(knee)
        assert masks["att0"].shape == (*picture.shape, 4)
        cut = picture[y : y + height, x : x + width]
        scale = knee.place.scale
        box = [round(value * scale) for value in knee.box]
        np.testing.assert_array_equal(cut, cut_out(knee.place.film, box))
        outside = masks["att0"][..., 3].copy()
        outside[y : y + height, x : x + width] = 0
        assert not outside.any()


def test_a_padded_knee_is_shown_as_the_model_saw_it(phantom):
    """Its attention covers the padding, too, and does not fit the box."""
    answers = pytest.importorskip("knee_attention.grading.web.answers")
    film = FileInMemory("film.png", cv2.imencode(".png", phantom.image)[1].tobytes())
    grader = Grader(Uniform(Preparation(Cutting("auto", (96, 64), "pad", crop="square"))))
    views = json.loads(answers.ANSWERS["view"](film, grader).body)
    for view, knee in zip(views, grader.grade(phantom.image), strict=True):
        assert view["box"] and view["box_in_picture"] is None
        np.testing.assert_array_equal(decoded(view["picture"]), knee.image)
        assert decoded(view["masks"]["att0"]).shape == (*SIZE, 4)


def decoded(text):
    content = np.frombuffer(base64.b64decode(text), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_UNCHANGED)


def test_a_report_says_where_the_joint_is(grader, phantom, tmp_path):
    pytest.importorskip("highdicom")
    from knee_attention.grading.dicom.algorithm import Algorithm
    from knee_attention.grading.dicom.reports import reports_of

    path = write_dicom(tmp_path / "film.dcm", phantom.image.astype(np.uint16) * 16,
                       StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4")  # fmt: skip
    knees = grader.grade(path)
    report, _ = reports_of(path, knees, Algorithm("model", "0" * 64, ("crop square",)))
    found = regions(report)
    assert len(found) == 2
    for knee, corners in zip(knees, found, strict=True):
        left, top, width, height = knee.box
        assert corners.min(axis=0).tolist() == [left, top]
        assert corners.max(axis=0).tolist() == [left + width, top + height]


def test_a_report_s_region_ends_where_the_film_does(grader, tmp_path, monkeypatch):
    """Exact to the pixel, although the film in the picture is smaller and its size rounded."""
    pytest.importorskip("highdicom")
    from knee_attention.grading.dicom.algorithm import Algorithm
    from knee_attention.grading.dicom.reports import reports_of

    film = np.random.default_rng(0).integers(0, 4096, (2494, 999)).astype(np.uint16)
    path = write_dicom(tmp_path / "film.dcm", film, StudyInstanceUID="1.2.3",
                       SeriesInstanceUID="1.2.4")  # fmt: skip
    crop = JointCrop("L", film[2000:, 500:], box=(500, 2000, 700, 700))
    monkeypatch.setattr("knee_attention.films.network_input.joint_crops", lambda *_: [crop])
    knees = grader.grade(path)
    report, _ = reports_of(path, knees, Algorithm("model", "0" * 64, ("crop square",)))
    [corners] = regions(report)
    assert corners.min(axis=0).tolist() == [500, 2000]
    assert corners.max(axis=0).tolist() == [999, 2494]


def regions(item):
    """The corners of each region in a report, `(corners, 2)`."""
    found = [np.reshape(item.GraphicData, (-1, 2))] if item.get("ValueType") == "SCOORD" else []
    for child in item.get("ContentSequence", ()):
        found += regions(child)
    return found


def test_what_the_page_gets_names_the_box_on_the_film_and_in_its_picture(phantom):
    answers = pytest.importorskip("knee_attention.grading.web.answers")
    film = FileInMemory("film.png", cv2.imencode(".png", phantom.image)[1].tobytes())
    grader = Grader(Uniform(SQUARE))
    bodies = (answers.ANSWERS[form](film, grader).body for form in ("json", "view"))
    rows, views = map(json.loads, bodies)
    for row, view in zip(rows, views, strict=True):
        assert view["box"] == row["box"] != view["box_in_picture"]
        assert set(view) - set(row) == {"box_in_picture", "picture", "masks", "attention"}
