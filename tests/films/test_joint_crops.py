"""Crops of joints at any place: their boxes, and the films that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.displacement import JOINT, Displacement, displaced
from knee_attention.films.joint_crops import IMPLANT, SECOND, THRESHOLD, crop_of, joint_crops
from knee_attention.films.joints import Joint, box_around, jaccard
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out, prepare_knee, resize_knee
from knee_attention.limits import KNEE_SIZE
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.localiser.distractors import draw_distractor


@pytest.fixture(scope="module")
def phantom():
    return phantom_film((1, 3), seed=9005)


def test_the_square_crop_has_the_box_s_middle():
    left, top, width, height = crop_of((100, 50, 200, 200), "square")
    assert (width, height) == (184, 184)
    assert (left + width / 2, top + height / 2) == (200, 150)


def test_antony_s_crop_is_wider_than_high_about_the_joint_line():
    assert crop_of((100, 50, 300, 300), "antony") == (100, 127, 300, 200)
    with pytest.raises(ValueError, match="expected an aspect"):
        crop_of((0, 0, 9, 9), "round")


def test_what_lies_beyond_the_film():
    film = np.arange(12, dtype=np.uint16).reshape(3, 4) + 7
    np.testing.assert_array_equal(cut_out(film, (1, 1, 2, 2)), film[1:3, 1:3])
    cut = cut_out(film, (-1, 2, 3, 2))
    np.testing.assert_array_equal(cut, [[15, 15, 16], [15, 15, 16]])
    dark = cut_out(film, (-1, 2, 3, 2), "dark")
    np.testing.assert_array_equal(dark, [[7, 15, 16], [7, 7, 7]])
    assert cut.dtype == dark.dtype == np.uint16
    assert (cut_out(film, (90, 90, 2, 2)) == 18).all()
    assert (cut_out(film, (90, 90, 2, 2), "dark") == 7).all()


@pytest.mark.parametrize("aspect", ["square", "antony"])
def test_a_film_gives_the_crops_of_both_knees(phantom, aspect):
    crops = joint_crops(phantom.image, aspect=aspect)
    assert [crop.side for crop in crops] == ["R", "L"]
    for crop in crops:
        true = crop_of(box_around(phantom.boxes[crop.side]), aspect)
        assert jaccard(crop.box, true) > 0.75
        np.testing.assert_array_equal(crop.image, cut_out(phantom.image, crop.box))


class Finds:
    """A localiser that finds the same given joints on every image."""

    def __init__(self, *joints):
        self.found = list(joints)

    def joints(self, film):
        return self.found


RIGHT, LEFT = Joint((20, 60, 90, 90), 0.9), Joint((180, 70, 80, 80), 0.8)
FILM = np.random.default_rng(0).integers(0, 256, (200, 300)).astype(np.uint8)


def test_two_joints_are_the_right_and_the_left_knee_by_their_place():
    for joints in ((RIGHT, LEFT), (LEFT, RIGHT)):
        crops = joint_crops(FILM, localiser=Finds(*joints))
        assert [crop.side for crop in crops] == ["R", "L"]
        assert [crop.joint.box for crop in crops] == [RIGHT.box, LEFT.box]


def test_one_joint_has_no_side_of_its_own():
    """On half a film, and on a film whose second joint has a low score."""
    faint = Joint(LEFT.box, SECOND - 0.01)
    for found in ((RIGHT,), (RIGHT, faint)):
        [crop] = joint_crops(FILM, localiser=Finds(*found))
        assert crop.side is None and crop.joint.box == RIGHT.box
    [crop] = joint_crops(FILM, "single", localiser=Finds(LEFT, RIGHT))
    assert crop.side is None and crop.joint.box == LEFT.box


def test_where_two_joints_are_expected_the_second_may_have_a_lower_score():
    """Without that, an oblique lateral view beside a frontal knee would be graded."""
    faint = Joint(LEFT.box, SECOND - 0.01)
    crops = joint_crops(FILM, "bilateral", localiser=Finds(RIGHT, faint))
    assert [crop.side for crop in crops] == ["R", "L"]


@pytest.mark.parametrize(
    ("joints", "view", "said"),
    [
        ([], "auto", "no knee joint found .score 0.00, the threshold is"),
        ([RIGHT], "bilateral", "expected two knee joints, found one"),
        ([RIGHT, LEFT, Joint((110, 90, 60, 60), 0.9)], "auto", "at most two knee joints, found 3"),
        ([RIGHT, Joint((30, 140, 80, 80), 0.9)], "auto", "are not side by side"),
    ],
)
def test_other_joints_than_are_expected_are_refused(joints, view, said):
    with pytest.raises(ValueError, match=said):
        joint_crops(FILM, view, localiser=Finds(*joints))


def test_a_joint_that_the_border_cuts_off_is_not_graded():
    cut_off = Joint((265, 70, 80, 80), 0.9)
    [crop] = joint_crops(FILM, localiser=Finds(cut_off, RIGHT))
    assert crop.side is None and crop.joint.box == RIGHT.box
    with pytest.raises(ValueError, match="the border of the film cuts off the knee joint"):
        joint_crops(FILM, localiser=Finds(cut_off))
    with pytest.raises(ValueError, match="the border of the film cuts off one of the knee joints"):
        joint_crops(FILM, "bilateral", localiser=Finds(cut_off, RIGHT))


def test_a_score_below_the_threshold_is_not_printed_as_the_threshold():
    faint = Joint(RIGHT.box, THRESHOLD - 0.0001)
    with pytest.raises(ValueError, match=f"score {THRESHOLD - 0.01:.2f}, the threshold is"):
        joint_crops(FILM, localiser=Finds(faint))


def test_an_implant_is_refused_unless_it_is_accepted():
    metal = Joint(LEFT.box, 0.8, implant=IMPLANT)
    with pytest.raises(ValueError, match=f"score {IMPLANT:.2f}.*; cut out the other knee"):
        joint_crops(FILM, localiser=Finds(RIGHT, metal))
    with pytest.raises(ValueError, match=f"the threshold is {IMPLANT:.2f}\\)$"):
        joint_crops(FILM, localiser=Finds(metal))
    assert len(joint_crops(FILM, implants="accept", localiser=Finds(RIGHT, metal))) == 2
    beside = Joint(LEFT.box, THRESHOLD - 0.1, implant=0.9)
    assert len(joint_crops(FILM, localiser=Finds(RIGHT, beside))) == 1


def test_a_joint_that_fills_the_image_tells_a_crop():
    [crop] = joint_crops(FILM[:, :200], localiser=Finds(Joint((-5, -5, 210, 210), 0.9)))
    assert crop.box is None and crop.image.shape == (200, 200)


def test_half_a_film_gives_one_crop_and_a_crop_itself(phantom):
    half = phantom.image[:, : phantom.image.shape[1] // 2]
    [crop] = joint_crops(half)
    assert crop.side is None and crop.box[2] < half.shape[1]
    assert jaccard(crop.joint.box, box_around(phantom.boxes["R"])) > 0.75
    [again] = joint_crops(crop.image)
    assert again.box is None and again.joint is None
    np.testing.assert_array_equal(again.image, crop.image)


def test_colours_and_16_bits_are_read(phantom):
    colour = np.repeat(phantom.image[..., np.newaxis].astype(np.uint16) * 257, 3, axis=2)
    boxes = [crop.box for crop in joint_crops(colour)]
    assert boxes == [crop.box for crop in joint_crops(phantom.image)]


@pytest.mark.parametrize(
    ("quarters", "said"),
    [(1, "rotated by 90 degrees anticlockwise"), (3, "rotated by 90 degrees clockwise"),
     (2, "seems to be upside down")],
)  # fmt: skip
def test_a_turned_film_is_said_to_be_turned(phantom, quarters, said):
    with pytest.raises(ValueError, match=said):
        joint_crops(np.rot90(phantom.image, quarters))


@pytest.mark.parametrize("side", [224, 299, 640])
def test_a_crop_is_known_whatever_its_size_and_grade(side):
    phantom = phantom_film((4, 0), seed=9011)
    for crop in joint_crops(phantom.image):
        [again] = joint_crops(resize_knee(crop.image, (side, side)))
        assert again.box is None and again.image.shape == (side, side)


@pytest.mark.parametrize("side", [224, 300])
def test_a_small_square_film_is_no_crop(phantom, side):
    """Square images of half a film, and of both knees between letterbox bars, are not crops."""
    half = phantom.image[:, : phantom.image.shape[1] // 2]
    [crop] = joint_crops(resize_knee(half[-half.shape[1] - 120 : -120], (side, side)))
    assert crop.box is not None
    assert len(joint_crops(resize_knee(phantom.image, (side, side), "pad"))) == 2


def test_what_is_said_to_be_a_crop_is_taken_as_it_is():
    image = draw_distractor("shapes", (500, 400), np.random.default_rng(3))
    [crop] = joint_crops(image, "crop")
    assert crop.box is None and crop.image is image


SQUARE = Preparation(crop="square")


@pytest.fixture(scope="module")
def crop():
    phantom = phantom_film((2, 2), seed=5)
    return cut_out(phantom.image, crop_of(box_around(phantom.boxes["R"]), "square"))


def test_a_place_follows_from_the_knee_and_lies_on_the_image():
    assert Displacement.of("train/2/9000001R.png") == Displacement.of("9000001_R")
    places = [Displacement.of(f"{person}{side}") for person in range(300) for side in "RL"]
    assert len(set(places)) == 600
    height, width = KNEE_SIZE
    for place in places:
        assert 0 <= place.left <= width - place.side and 0 <= place.top <= height - place.side
        assert round(0.4 * width) <= place.side <= round(0.7 * width)
    middles = np.array([place.top + place.side / 2 for place in places])
    assert middles.min() < 0.2 * height and middles.max() > 0.8 * height


@pytest.mark.parametrize("size", [KNEE_SIZE, (160, 112)])
def test_the_known_joint_is_that_part_of_the_crop(size):
    place = Displacement.of("9000001R")
    rows, columns = np.nonzero(place.joint(size))
    scale = size[0] / KNEE_SIZE[0]
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    corner = np.array([place.left, place.top] * 2)
    np.testing.assert_allclose(found, (corner + place.side * np.array(JOINT)) * scale, atol=0.5)


def test_the_crop_is_there_and_no_edge_shows_where_it_ends(crop):
    for name in ("1R", "2R", "3R", "4R"):
        place = Displacement.of(name)
        image = displaced(crop, place).astype(float)
        top, left, side = place.top, place.left, place.side
        inside = image[top : top + side, left : left + side]
        small = resize_knee(crop, (side, side))
        assert np.corrcoef(inside.ravel(), small.ravel())[0, 1] > 0.999
        down = np.abs(np.diff(image[:, left : left + side], axis=0)).mean(axis=1)
        across = np.abs(np.diff(image[top : top + side], axis=1)).mean(axis=0)
        for steps, start in ((down, top), (across, left)):
            ends = [end for end in (start - 1, start + side - 1) if 0 <= end < len(steps)]
            assert steps[ends].max() < 2 * np.median(steps[start : start + side - 1])
        assert image[:, [0, -1]].mean() < image[top : top + side].mean()  # air beside the leg


def test_two_knees_get_different_legs_and_one_knee_always_the_same(crop):
    prepared = replace(SQUARE, displaced=True)
    first, again, other = (prepared.knee(crop, (80, 56), name) for name in ("1R", "1R", "1L"))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (80, 56) and first.dtype == np.uint8 and (first != other).any()
    np.testing.assert_array_equal(
        first, prepare_knee(displaced(crop, Displacement.of("1R")), (80, 56))
    )


@pytest.mark.parametrize(
    ("preparation", "received"),
    [
        (Preparation(), "halves of films"),
        (Preparation(crop="half"), "halves of films"),
        (Preparation(Cutting()), "halves of films"),
        (Preparation(crop="antony"), "Antony's crops of joints"),
    ],
)
def test_only_square_crops_are_displaced(preparation, received):
    with pytest.raises(InputError, match=f"square crops .* these knees are {received}"):
        replace(preparation, displaced=True)


def test_a_film_among_square_crops_is_refused(crop):
    with pytest.raises(ValueError, match="not a square crop: 100x200 pixels"):
        displaced(np.zeros((200, 100), np.uint8), Displacement.of("1R"))


@pytest.mark.parametrize("options", [{}, {"data": "knees", "crop": "half"}])
def test_an_experiment_displaces_square_crops_of_real_joints_only(options):
    with pytest.raises(InputError, match="--displace needs square crops of joints: give"):
        Experiment(displace=True, **options)
