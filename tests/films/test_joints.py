"""Decoding the localiser's maps into joint boxes."""

import numpy as np
import pytest

from knee_attention.films.joints import (
    Joint,
    box_around,
    box_of_square,
    different,
    jaccard,
    joints_on,
)
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
    assert different([sure, other, beside]) == [other, beside]


def test_boxes_follow_from_the_joint_line_and_from_the_square():
    assert box_around((46, 79.8, 108, 42)) == pytest.approx((40, 30, 120, 120))
    assert box_of_square((4, 4, 92, 92)) == pytest.approx((0, 0, 100, 100))


def test_the_jaccard_index_by_hand():
    assert jaccard((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert jaccard((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert jaccard((0, 0, 10, 10), (10, 10, 5, 5)) == 0
    assert jaccard((0, 0, 0, 0), (0, 0, 0, 0)) == 0
