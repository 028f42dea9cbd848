"""The network input for each knee on an image, and its recorded place on the film."""

import numpy as np
import pytest

from knee_attention.films import network_input
from knee_attention.films.cutting import Cutting
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.network_input import PICTURE_HEIGHT, prepared_knees
from knee_attention.films.preparation import Preparation

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


@pytest.mark.parametrize("said", [None, "R", "L"])
def test_a_joint_of_unknown_side_has_the_side_that_was_said(film, found, said):
    found({None: TWO["R"]})
    [knee] = prepared_knees(film, "auto", said, CROPS, SIZE)
    assert knee.side == said


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
