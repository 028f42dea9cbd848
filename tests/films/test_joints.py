"""From a map of joint lines to joint boxes."""

import numpy as np
import pytest

from knee_attention.films.joints import THRESHOLD, box_around, jaccard, joints_on, line_of


def map_with(*bands, size=(256, 256), value=0.95):
    """A map with bands (left, top, width, height) in whole pixels."""
    line_map = np.zeros(size, np.float32)
    for left, top, width, height in bands:
        line_map[top : top + height, left : left + width] = value
    return line_map


def test_a_box_and_its_joint_line_follow_from_each_other():
    box = (40.0, 30.0, 120.0, 120.0)
    line = line_of(box)
    assert line == pytest.approx((46, 79.8, 108, 42))
    assert box_around(line) == pytest.approx(box)


def test_two_bands_are_the_right_and_the_left_knee():
    left, right = (150, 120, 64, 25), (40, 115, 64, 25)
    joints = joints_on(map_with(left, right))
    assert [joint.side for joint in joints] == ["R", "L"]
    for joint, band in zip(joints, (right, left), strict=True):
        assert joint.box == pytest.approx(box_around(band), abs=0.1)
        assert joint.score == pytest.approx(0.95)


def test_of_half_a_film_the_largest_band_counts_and_has_no_side():
    [joint] = joints_on(map_with((20, 100, 50, 20), (120, 100, 64, 25)), most=1)
    assert joint.side is None
    assert joint.box == pytest.approx(box_around((120, 100, 64, 25)), abs=0.1)


def test_specks_rags_and_small_bands_are_no_second_joint():
    line_map = map_with((40, 100, 64, 25), (200, 100, 20, 12), (120, 200, 5, 5))
    line_map[90:100, 70:72] = 0.9  # a rag on the band's edge
    [joint] = joints_on(line_map)
    assert joint.side is None
    assert jaccard(joint.box, box_around((40, 100, 64, 25))) > 0.9


def test_one_below_the_other_are_not_two_knees():
    assert len(joints_on(map_with((60, 60, 64, 25), (66, 160, 64, 25)))) == 1


def test_what_is_no_band_has_a_low_score_and_gives_way_to_a_band():
    rows, columns = np.indices((256, 256))
    ring = (abs(np.hypot(rows - 180, columns - 90) - 60) < 6) * np.float32(0.9)
    [alone] = joints_on(ring)
    assert alone.score < THRESHOLD
    with_band = np.maximum(ring, map_with((170, 60, 64, 25)))
    [joint] = joints_on(with_band)
    assert joint.score > 0.9 and joint.box == pytest.approx(box_around((170, 60, 64, 25)), abs=0.1)


def test_an_empty_map_has_no_joint():
    assert joints_on(np.zeros((256, 256), np.float32)) == []


def test_the_jaccard_index_by_hand():
    assert jaccard((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert jaccard((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert jaccard((0, 0, 10, 10), (10, 10, 5, 5)) == 0
    assert jaccard((0, 0, 0, 0), (0, 0, 0, 0)) == 0
