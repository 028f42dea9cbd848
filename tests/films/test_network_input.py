"""How films become network input: preparation, crops, and likeness to the training knees."""

import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.films import network_input
from knee_attention.films.cutting import Cutting
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.network_input import (
    PICTURE_HEIGHT,
    likeness,
    prepared_knees,
    typical_knee,
)
from knee_attention.films.preparation import Preparation, refuse_differences
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.film import phantom_film

SIZE = (32, 24)
CROPS = Preparation(crop="square")


@pytest.fixture
def film():
    return np.random.default_rng(0).integers(0, 256, (60, 100)).astype(np.uint8)


@pytest.fixture
def found(monkeypatch):
    """A function that makes `prepared_knees` find the given joints, `{side: box}`."""

    def know(boxes):
        def joint_crops(film, view, aspect, implants):
            return [
                JointCrop(side, film[top : top + height, left : left + width], None, box)
                for side, box in boxes.items()
                for left, top, width, height in [box]
            ]

        monkeypatch.setattr(network_input, "joint_crops", joint_crops)

    return know


TWO = {"R": (5, 10, 30, 30), "L": (60, 10, 30, 30)}


def test_two_joints_of_a_film_have_the_sides_they_lie_on(film, found):
    """This holds even if a name or a header states one side for the whole film."""
    found(TWO)
    for said in (None, "R", "L"):
        knees = prepared_knees(film, "auto", said, CROPS, SIZE)
        assert [knee.side for knee in knees] == ["R", "L"]
        assert [knee.place.box for knee in knees] == list(TWO.values())


@pytest.mark.parametrize("by_place", ["R", "L", None])
@pytest.mark.parametrize("known", ["R", "L", None])
def test_one_joint_has_the_side_that_is_known_and_none_by_its_place(film, found, known, by_place):
    found({by_place: TWO["R"]})
    [knee] = prepared_knees(film, "auto", known, CROPS, SIZE)
    assert knee.side == known


def test_the_known_side_decides_which_knee_is_mirrored(film, found):
    mirrored = Preparation(Cutting("auto", SIZE, flip_left=True, crop="square"))
    found({"L": TWO["R"]})
    [right] = prepared_knees(film, "auto", "R", mirrored, SIZE)
    found({"R": TWO["R"]})
    [left] = prepared_knees(film, "auto", "L", mirrored, SIZE)
    assert (right.mirrored, left.mirrored) == (False, True)
    np.testing.assert_array_equal(left.image, right.image[:, ::-1])


@pytest.mark.parametrize("height", [100, PICTURE_HEIGHT, 2 * PICTURE_HEIGHT])
def test_the_film_that_is_shown_has_at_most_so_many_rows(found, height):
    found(TWO)
    film = np.random.default_rng(0).integers(0, 256, (height, 100)).astype(np.uint8)
    for knee in prepared_knees(film, "auto", None, CROPS, SIZE):
        place = knee.place
        assert place.size == film.shape and place.film.dtype == np.uint8
        assert len(place.film) == min(height, PICTURE_HEIGHT)
        assert place.scale == len(place.film) / height
        assert place.film.shape[1] == round(100 * place.scale)


@pytest.mark.parametrize(
    ("preparation", "whole"),
    [
        (CROPS, True),
        (Preparation(crop="square", fit="pad"), False),
        (Preparation(Cutting(crop="square", fit="pad", size=SIZE)), False),
        (Preparation(Cutting(crop="square", fit="stretch", size=SIZE)), True),
        (Preparation(Cutting(crop="square", fit="stretch", size=SIZE), fit="pad"), False),
    ],
)
def test_a_padded_knee_holds_more_than_its_box(film, found, preparation, whole):
    found(TWO)
    assert {knee.place.whole for knee in prepared_knees(film, "auto", None, preparation, SIZE)} == {
        whole
    }


def test_left_knees_are_mirrored_where_those_of_training_were_and_only_then(film, found):
    found(TWO)
    plain, flipped = (
        prepared_knees(film, "auto", None, Preparation(Cutting(
            crop="square", size=SIZE, flip_left=flip)), SIZE)
        for flip in (False, True)
    )  # fmt: skip
    assert [knee.mirrored for knee in plain + flipped] == [False, False, False, True]
    np.testing.assert_array_equal(flipped[0].image, plain[0].image)
    np.testing.assert_array_equal(flipped[1].image, plain[1].image[:, ::-1])


def test_a_knee_of_the_training_s_very_size_is_not_mirrored_again(film):
    halves = Preparation(Cutting(size=film.shape, flip_left=True))
    [same] = prepared_knees(film, "single", "L", halves, SIZE)
    [larger] = prepared_knees(np.tile(film, (2, 1)), "single", "L", halves, SIZE)
    assert (same.mirrored, larger.mirrored) == (False, True)
    assert same.place is None and same.side == "L"


HALF_SIZE = (64, 48)
PAD = Cutting("middle", (80, 56), "pad", "none", flip_left=True)
KNEE = np.random.default_rng(0).integers(0, 255, (80, 56), dtype=np.uint8)


def test_a_preparation_is_read_as_it_was_described():
    for preparation in (Preparation(), Preparation(PAD, "pad", "clahe"), Preparation(Cutting()),
                        Preparation(crop="square"), Preparation(Cutting(crop="antony")),
                        Preparation(crop="square", displaced=True)):
        assert Preparation.recorded(preparation.described(), "a model") == preparation
    assert Preparation.recorded({"name": "old"}, "a model") == Preparation()


def test_half_a_film_is_cut_whatever_its_size_and_a_knee_of_the_set_s_size_is_not():
    preparation = Preparation(PAD)
    knee = preparation.knee(KNEE, HALF_SIZE)
    np.testing.assert_array_equal(knee, prepare_knee(KNEE, HALF_SIZE))
    np.testing.assert_array_equal(preparation.single(KNEE, "L", HALF_SIZE), knee)
    mirrored = preparation.half(KNEE, "L", HALF_SIZE)
    np.testing.assert_array_equal(mirrored, prepare_knee(KNEE[:, ::-1], HALF_SIZE))
    larger = np.pad(KNEE, 8)
    np.testing.assert_array_equal(
        preparation.single(larger, "L", HALF_SIZE), preparation.half(larger, "L", HALF_SIZE)
    )
    with pytest.raises(ValueError, match="the side of this knee is unknown"):
        preparation.half(KNEE, None, HALF_SIZE)


@pytest.mark.parametrize(
    ("first", "second", "differences"),
    [
        (Preparation(), Preparation(PAD), []),
        (Preparation(Cutting()), Preparation(Cutting()), []),
        (Preparation(Cutting()), Preparation(Cutting(size=(640, 448))), []),
        (Preparation(Cutting(fit="pad")), Preparation(Cutting(size=(64, 64), fit="pad")),
         ["size (320, 224), not (64, 64)"]),
        (Preparation(Cutting()), Preparation(Cutting(fit="pad")), ["fit stretch, not pad"]),
        (Preparation(Cutting(flip_left=True)), Preparation(Cutting("middle")),
         ["split auto, not middle", "flip_left True, not False"]),
        (Preparation(), Preparation(equalization="none"), ["equalization hist, not none"]),
        (Preparation(Cutting()), Preparation(Cutting(crop="square")), ["crop half, not square"]),
        (Preparation(Cutting()), Preparation(crop="square"), ["crop half, not square"]),
        (Preparation(), Preparation(crop="square"), []),
        (Preparation(), Preparation(crop="square", displaced=True),
         ["displaced False, not True"]),
    ],
)
def test_known_preparations_that_disagree_are_refused(first, second, differences):
    assert first.differences(second) == differences
    named = [("a", first), ("unknown", Preparation(equalization=first.equalization)), ("b", second)]
    if not differences:
        refuse_differences(named)
    else:
        with pytest.raises(InputError, match="prepared differently from those of") as said:
            refuse_differences(named)
        assert all(difference in str(said.value) for difference in differences)


def test_an_unknown_way_is_refused():
    for unknown in ({"fit": "crop"}, {"equalization": "gamma"}):
        with pytest.raises(InputError, match="expected a fit of stretch, pad"):
            Preparation(**unknown)


def test_what_knees_show_is_known_by_the_cutting_else_by_what_is_said():
    assert not Preparation().shows_joints and Preparation().known_crop is None
    assert Preparation(crop="square").shows_joints and not Preparation(crop="half").shows_joints
    assert Preparation(Cutting(crop="antony")).known_crop == "antony"
    assert Preparation().with_crop("auto") == Preparation()
    assert Preparation().with_crop("square") == Preparation(crop="square")
    assert Preparation(Cutting()).with_crop("half").known_crop == "half"
    for known in (Preparation(Cutting()), Preparation(crop="half")):
        with pytest.raises(InputError, match="cannot be square crops of joints"):
            known.with_crop("square")
    with pytest.raises(InputError, match="expected a crop of half, square, antony"):
        Preparation(crop="round")


PAPER_SIZE = (112, 112)


def joints(seeds):
    """Square crops of the joints of phantom films."""
    crops = []
    for seed in seeds:
        film = phantom_film((seed % 5, 2 * seed % 5), seed)
        for x, y, width, height in film.boxes.values():
            crops.append(prepare_knee(film.image[y : y + height, x : x + width], PAPER_SIZE))
    return np.stack(crops)


@pytest.fixture(scope="module")
def typical():
    return typical_knee(joints(range(12)))


def test_other_knees_are_alike_and_other_images_are_not(typical):
    knees = joints(range(20, 26))
    alike = min(likeness(knee, typical) for knee in knees)
    noise = np.random.default_rng(0).integers(0, 256, (10, *PAPER_SIZE)).astype(np.uint8)
    turned = np.ascontiguousarray(knees.transpose(0, 2, 1))
    for others in (~knees, turned, noise):
        assert max(likeness(image, typical) for image in others) < alike


def test_a_typical_knee_has_no_side(typical):
    np.testing.assert_array_equal(typical, typical[:, ::-1])
    knee = joints([30])[0]
    assert likeness(knee, typical) == pytest.approx(likeness(knee[:, ::-1], typical), abs=1e-3)


def test_itself_is_1_its_negative_minus_1_and_a_blank_image_0(typical):
    assert likeness(typical, typical) == pytest.approx(1)
    assert likeness(255 - typical, typical) == pytest.approx(-1)
    assert likeness(np.full(PAPER_SIZE, 90, np.uint8), typical) == 0
