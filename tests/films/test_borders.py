"""Artificial borders are cut off; dark or flat parts of a film are kept."""

import cv2
import numpy as np
import pytest

from knee_attention.films.borders import Frame, find_frame, without_frame
from knee_attention.phantoms.film import phantom_film


@pytest.fixture(scope="module")
def crop():
    """A knee that fills the image, without flat regions."""
    return phantom_film((2, 2), seed=9021).image[150:326, 170:330]


@pytest.mark.parametrize("thick", [1, 4, 7, 11])
@pytest.mark.parametrize("grey", [0, 90, 128, 255])
def test_a_frame_of_one_grey_is_taken_off(crop, thick, grey):
    framed = cv2.copyMakeBorder(crop, *[thick] * 4, cv2.BORDER_CONSTANT, value=grey)
    inside, frame = without_frame(framed)
    assert frame == Frame(thick, thick, thick, thick)
    np.testing.assert_array_equal(inside, crop)


@pytest.mark.parametrize("sides", [(40, 40, 0, 0), (0, 0, 30, 30), (3, 9, 5, 5)])
def test_bars_are_taken_off_at_both_ends(crop, sides):
    top, bottom, left, right = sides
    letterbox = cv2.copyMakeBorder(crop, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    inside, frame = without_frame(letterbox)
    assert frame == Frame(top, bottom, left, right)
    np.testing.assert_array_equal(inside, crop)


def test_a_border_at_one_side_stays_as_a_collimator_may_leave_one(crop):
    assert not find_frame(cv2.copyMakeBorder(crop, 0, 25, 0, 0, cv2.BORDER_CONSTANT, value=0))


def test_a_border_with_a_mark_stays_however_small_the_mark_is(crop):
    framed = cv2.copyMakeBorder(crop, *[40] * 4, cv2.BORDER_CONSTANT, value=0)
    assert find_frame(framed) == Frame(40, 40, 40, 40)
    framed[5:9, 5:9] = 255
    assert not find_frame(framed)


def test_sixteen_bits_colour_and_jpeg_are_no_hindrance(crop):
    framed = cv2.copyMakeBorder(crop, *[8] * 4, cv2.BORDER_CONSTANT, value=128)
    assert find_frame(framed.astype(np.uint16) * 257) == Frame(8, 8, 8, 8)
    assert find_frame(np.dstack([framed] * 3)) == Frame(8, 8, 8, 8)
    _, content = cv2.imencode(".jpg", framed, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert find_frame(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)) == Frame(8, 8, 8, 8)


def test_dark_air_beside_a_leg_is_no_frame():
    """Its columns have one grey, but the skin enters gradually and makes no edge."""
    rows, columns = np.mgrid[:200, :160]
    skin = 30 + 12 * np.sin(rows / 30)
    leg = np.where(columns > skin, 60 + columns, 0).astype(np.uint8)
    assert not leg[:, :18].any()
    assert find_frame(leg) == Frame()


def test_a_thin_frame_is_found_where_dark_air_hides_its_edge():
    rows, columns = np.mgrid[:200, :160]
    leg = np.where(columns > 30 + 12 * np.sin(rows / 30), 60 + columns, 0).astype(np.uint8)
    framed = cv2.copyMakeBorder(leg, *[6] * 4, cv2.BORDER_CONSTANT, value=0)
    inside, frame = without_frame(framed)
    assert frame == Frame(6, 6, 6, 6)
    np.testing.assert_array_equal(inside, leg)


def test_films_and_blank_images_have_no_frame():
    assert not find_frame(phantom_film((0, 3), seed=9022).image)
    assert not find_frame(np.full((50, 40), 7, np.uint8))
    assert not find_frame(np.zeros((2, 2), np.uint8))
