"""A single knee keeps its known side; the sides of two knees follow from their positions."""

import numpy as np
import pytest

from knee_attention.films import network_input
from knee_attention.films.cutting import Cutting
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.joints import Joint
from knee_attention.films.network_input import prepared_knees
from knee_attention.films.preparation import Preparation

FILM = np.random.default_rng(0).integers(0, 256, (200, 240), np.uint8)
BOX = (20, 40, 80, 80)


@pytest.fixture
def found(monkeypatch):
    """A function that makes `prepared_knees` find joints with the given sides."""

    def find(*sides):
        crops = [JointCrop(side, FILM[:80, :80], Joint(BOX, 0.9, side=side), BOX) for side in sides]
        monkeypatch.setattr(network_input, "joint_crops", lambda *_: crops)

    return find


def sides(known):
    knees = prepared_knees(FILM, "auto", known, Preparation(crop="square"), (64, 64))
    return [knee.side for knee in knees]


@pytest.mark.parametrize("by_place", ["R", "L", None])
@pytest.mark.parametrize("known", ["R", "L", None])
def test_one_joint_has_the_side_that_is_known_and_none_by_its_place(found, known, by_place):
    found(by_place)
    assert sides(known) == [known]


@pytest.mark.parametrize("known", ["R", "L", None])
def test_two_joints_have_the_sides_of_their_places(found, known):
    found("R", "L")
    assert sides(known) == ["R", "L"]


def test_the_known_side_decides_which_knee_is_mirrored(found):
    mirrored = Preparation(Cutting("auto", (64, 64), flip_left=True, crop="square"))
    found("L")
    [right] = prepared_knees(FILM, "auto", "R", mirrored, (64, 64))
    found("R")
    [left] = prepared_knees(FILM, "auto", "L", mirrored, (64, 64))
    assert (right.mirrored, left.mirrored) == (False, True)
    np.testing.assert_array_equal(left.image, right.image[:, ::-1])
