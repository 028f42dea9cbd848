"""The shipped localiser: decoding its maps, and its joints on phantoms and real films."""

import csv

import cv2
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.films.joint_crops import THRESHOLD, joint_crops
from knee_attention.films.joints import (
    Joint,
    box_around,
    box_of_square,
    jaccard,
    joints_on,
    without_duplicates,
)
from knee_attention.films.localiser import SHIPPED, Localiser, localiser_input, shipped_localiser
from knee_attention.films.polarity import bone_bright
from knee_attention.films.radiograph import equalize, resize_knee, to_uint8
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.distractors import DISTRACTORS, draw_distractor
from knee_attention.runs.localiser.views import targets_of

SURE = 8.0


def maps_of(boxes, implants=()):
    """The maps of a localiser that reproduces its training targets exactly."""
    targets = targets_of(boxes, implants=implants)
    maps = np.zeros((*targets.shape[:2], 5), np.float32)
    maps[..., 0] = np.where(targets[..., 0] >= 1, SURE, 2 * SURE * targets[..., 0] - SURE - 1)
    maps[..., 1:4] = targets[..., 2:5]
    maps[..., 4] = np.where(targets[..., 5] > 0, SURE, -SURE)
    return maps


@pytest.mark.parametrize("side", [30.0, 64.0, 188.0])
@pytest.mark.parametrize("corner", [(20.0, 31.0), (47.3, 40.9), (64.0, -14.0)])
def test_a_box_comes_back_from_the_maps_that_it_is_taught_by(side, corner):
    [joint] = joints_on(maps_of([(*corner, side, side)]))
    assert joint.box == pytest.approx((*corner, side, side), abs=0.01)
    assert joint.score > 0.99 and joint.side is None and joint.implant < 0.01


def test_every_joint_is_found_the_highest_score_first():
    right, left = (20.0, 100.0, 60.0, 60.0), (150.0, 110.0, 66.0, 66.0)
    maps = maps_of([right, left])
    maps[12:, 18:, 0] -= 4
    first, second = joints_on(maps)
    assert first.box == pytest.approx(right, abs=0.01)
    assert second.box == pytest.approx(left, abs=0.01) and second.score < first.score


def test_metal_counts_for_the_joint_whose_box_it_lies_in():
    right, left = (20.0, 100.0, 60.0, 60.0), (150.0, 110.0, 66.0, 66.0)
    found = joints_on(maps_of([right, left], implants=[(160, 120, 30, 40)]))
    implant = {round(joint.box[0]): joint.implant for joint in found}
    assert implant[20] < 0.01 and implant[150] > 0.99


def test_empty_maps_have_no_joint():
    assert joints_on(maps_of([])) == []


def test_of_two_boxes_of_one_joint_the_surer_stays():
    sure, other = Joint((10, 10, 50, 50), 0.9), Joint((14, 12, 48, 48), 0.95)
    beside = Joint((80, 10, 50, 50), 0.6)
    assert without_duplicates([sure, other, beside]) == [other, beside]


def test_boxes_follow_from_the_joint_line_and_from_the_square():
    assert box_around((46, 79.8, 108, 42)) == pytest.approx((40, 30, 120, 120))
    assert box_of_square((4, 4, 92, 92)) == pytest.approx((0, 0, 100, 100))


def test_the_jaccard_index_by_hand():
    assert jaccard((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert jaccard((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert jaccard((0, 0, 10, 10), (10, 10, 5, 5)) == 0
    assert jaccard((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_the_input_keeps_the_proportions_and_is_equalised():
    film = phantom_film((1, 2), seed=5, height=300).image
    square, scale, (left, top) = localiser_input(film)
    height, width = film.shape
    assert square.shape == (256, 256, 2) and square.dtype == np.uint8
    assert scale == 256 / width and left == 0 and top == (256 - round(height * scale)) // 2
    inside = square[top : top + round(height * scale)]
    assert not square[:top].any() and not square[top + len(inside) :].any()
    small = resize_knee(to_uint8(film), inside.shape[:2])
    np.testing.assert_array_equal(inside, np.dstack([equalize(small, "clahe"), small]))
    afar, smaller, _ = localiser_input(film, 2.0)
    assert smaller == scale / 2 and not afar[:, :64].any() and afar[:, 64:-64].any()
    sixteen = localiser_input(film.astype(np.uint16) * 257)[0]
    np.testing.assert_array_equal(square, sixteen)


def test_it_is_small():
    assert SHIPPED.stat().st_size < 1_000_000


@pytest.mark.parametrize("seed", [9001, 9002, 9003])
def test_the_joints_of_a_phantom_film_are_found(seed):
    phantom = phantom_film((seed % 5, 3), seed=seed)
    crops = joint_crops(phantom.image)
    assert [crop.side for crop in crops] == ["R", "L"]
    for crop in crops:
        assert crop.joint.score >= THRESHOLD
        assert jaccard(crop.joint.box, box_around(phantom.boxes[crop.side])) > 0.75


@pytest.mark.parametrize("kind", DISTRACTORS)
def test_what_is_no_knee_has_no_joint(kind):
    rng = np.random.default_rng(77)
    for _ in range(5):
        image = draw_distractor(kind, (300, 240), rng)
        assert all(joint.score < THRESHOLD for joint in shipped_localiser().joints(image))


def test_a_file_that_is_no_localiser_is_refused(tmp_path):
    (tmp_path / "words.onnx").write_text("words")
    with pytest.raises(InputError, match="not a localiser"):
        Localiser(tmp_path / "words.onnx")
    with pytest.raises(InputError, match="No such file"):
        Localiser(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("name", ["9000099.jpg", "9000296.jpg"])
def test_the_joints_of_real_films_are_found(name, negative, real_data):
    film = cv2.imread(str(real_data / "radiographs" / name), cv2.IMREAD_GRAYSCALE)
    film, turned = bone_bright(~film if negative else film)
    assert turned == negative
    joints = {crop.side: crop.joint for crop in joint_crops(film)}
    with (real_data / "radiographs" / "joint_boxes.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] == name]
    assert {row["side"] for row in rows} == {"R", "L"}
    for row in rows:
        x1, y1, x2, y2 = (float(row[column]) for column in ("x1", "y1", "x2", "y2"))
        left, top, width, height = joints[row["side"]].box
        assert jaccard((left, top, width, height), (x1, y1, x2 - x1, y2 - y1)) >= 0.6
        apart = left + width / 2 - (x1 + x2) / 2, top + height / 2 - (y1 + y2) / 2
        assert np.hypot(*apart) <= 0.1 * (x2 - x1)


PUBLIC_CROPS = {
    ("9000099", "L"): (553, 243, 279), ("9000099", "R"): (155, 247, 260),
    ("9000296", "L"): (393, 148, 163), ("9000296", "R"): (85, 137.5, 169),
}  # fmt: skip
"""Left, top and side of the public set's crops on these films, by template matching over scales
(correlation .97 and more)."""


@pytest.mark.parametrize("film_id", ["9000099", "9000296"])
def test_the_square_crop_lies_where_the_public_set_has_it(film_id, real_data):
    film = cv2.imread(str(real_data / "radiographs" / f"{film_id}.jpg"), cv2.IMREAD_GRAYSCALE)
    for crop in joint_crops(film, "bilateral"):
        x, y, side = PUBLIC_CROPS[film_id, crop.side]
        left, top, width, height = crop.box
        assert width == height and abs(width - side) <= 0.11 * side
        assert abs(left + width / 2 - x - side / 2) <= 0.08 * side
        assert abs(top + height / 2 - y - side / 2) <= 0.08 * side


HALF_FILMS = {
    "half_film_KL0": (0.39, 0.51), "half_film_KL2": (0.56, 0.545), "half_film_KL4": (0.48, 0.53),
}  # fmt: skip
"""About where the middle of the joint line is, in parts of width and height, by eye."""


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("name", HALF_FILMS)
def test_the_joints_of_real_half_films_are_found(name, negative, real_data):
    film = cv2.imread(str(real_data / "half_films" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    film, turned = bone_bright(~film if negative else film)
    assert turned == negative
    [crop] = joint_crops(film)
    left, top, width, height = crop.joint.box
    place = (left + width / 2) / film.shape[1], (top + 0.59 * height) / film.shape[0]
    assert place == pytest.approx(HALF_FILMS[name], abs=0.04)
    assert 0.4 < width / film.shape[1] < 0.7


@pytest.mark.parametrize("turned", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_no_speck_of_a_sideways_film_is_taken_for_a_joint(turned, real_data):
    """The polarity of a sideways film is not recognised, so nothing on it looks like a knee."""
    film = cv2.imread(str(real_data / "radiographs" / "9000099.jpg"), cv2.IMREAD_GRAYSCALE)
    with pytest.raises(ValueError, match="no knee joint found"):
        joint_crops(bone_bright(cv2.rotate(film, turned))[0])
