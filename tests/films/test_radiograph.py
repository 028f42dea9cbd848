"""Resizing and equalising a radiograph, and cutting off its borders."""

import cv2
import numpy as np
import pytest

from knee_attention.films.borders import Frame, find_frame, without_frame
from knee_attention.films.legs import split_knees
from knee_attention.films.radiograph import equalize, prepare_knee, resize_knee, to_uint8
from knee_attention.phantoms.film import phantom_film

NOISE = np.random.default_rng(0).integers(0, 4096, (50, 41)).astype(np.uint16)


def test_to_uint8_stretches_the_films_own_range_rounding_half_up():
    low, high = int(NOISE.min()), int(NOISE.max())
    expected = np.floor((NOISE - low) * 255.0 / (high - low) + 0.5)
    np.testing.assert_array_equal(to_uint8(NOISE), expected)
    np.testing.assert_array_equal(to_uint8(NOISE * 16), to_uint8(NOISE))
    np.testing.assert_array_equal(to_uint8(NOISE.astype(np.int32) - 99), to_uint8(NOISE))
    halves = np.tile(np.arange(103, dtype=np.uint8), (20, 1))  # 255/102 is 2.5
    for dtype in (np.int32, np.uint16, np.float32):
        np.testing.assert_array_equal(to_uint8(halves.astype(dtype)), to_uint8(halves))


@pytest.mark.parametrize("value", [0, 65535])
def test_a_few_pixels_far_from_all_others_do_not_spoil_a_film(value):
    """A burnt-in marker is clipped; many pixels far from the others are kept."""
    film = np.random.default_rng(0).integers(20_000, 24_000, (400, 300)).astype(np.uint16)
    plain = to_uint8(film)
    marked = film.copy()
    marked[:3, :3] = value
    found = to_uint8(marked)
    assert abs(found[9:].astype(int) - plain[9:]).max() <= 1
    assert (found[:3, :3] == (0 if value == 0 else 255)).all()
    for dtype in (np.int32, np.float32):
        np.testing.assert_array_equal(to_uint8(marked.astype(dtype)), found)
    marked[:40, :40] = value
    low, high = int(marked.min()), int(marked.max())
    np.testing.assert_array_equal(
        to_uint8(marked), np.floor((marked - float(low)) * 255 / (high - low) + 0.5)
    )


def test_to_uint8_names_what_it_cannot_take():
    assert not to_uint8(np.full((20, 20), 9, np.uint16)).any()
    with pytest.raises(ValueError, match="16 pixels"):
        to_uint8(np.zeros((100, 10), np.uint8))
    with pytest.raises(ValueError, match="finite"):
        to_uint8(np.full((20, 20), np.nan))


@pytest.mark.parametrize("width", [40, 41])
def test_split_in_the_middle_is_the_papers(width):
    film = NOISE[:, :width]
    knees = split_knees(film)
    np.testing.assert_array_equal(knees["R"], film[:, : width // 2])
    np.testing.assert_array_equal(knees["L"], film[:, width - width // 2 :])
    with pytest.raises(ValueError, match="method"):
        split_knees(film, "left")


def test_pad_keeps_the_proportions():
    padded = resize_knee(np.full((40, 20), 9, np.uint8), (80, 60), fit="pad")
    assert padded.shape == (80, 60)
    np.testing.assert_array_equal(np.flatnonzero(padded.any(axis=0)), np.arange(10, 50))
    with pytest.raises(ValueError, match="fit"):
        resize_knee(padded, (10, 10), fit="crop")


@pytest.mark.parametrize("method", ["hist", "clahe", "none"])
def test_prepare_knee(method):
    knee = prepare_knee(NOISE, (64, 48), "pad", method)
    assert knee.shape == (64, 48) and knee.dtype == np.uint8
    expected = equalize(resize_knee(to_uint8(NOISE), (64, 48), "pad"), method)
    np.testing.assert_array_equal(knee, expected)
    with pytest.raises(ValueError, match="method"):
        equalize(knee, "gamma")


def test_a_prepared_knee_has_its_grey_values_spread_by_rank():
    """The paper's equalisation by its definition: the share of darker pixels."""
    knee = np.random.default_rng(0).integers(0, 256, (64, 48)) ** 2 // 256
    knee[0, :2] = 0, 254
    grey = to_uint8(knee)
    below = np.cumsum(np.bincount(grey.ravel(), minlength=256))
    first = below[grey.min()]
    expected = np.rint((below - first) * 255 / (grey.size - first))[grey]
    np.testing.assert_allclose(prepare_knee(knee, (64, 48)), expected, atol=1)
    assert np.abs(expected - grey).mean() > 20


@pytest.mark.parametrize("version", ["4.10.0", "5.0.0"])
def test_grey_values_do_not_depend_on_the_version_of_opencv(monkeypatch, version):
    expected = to_uint8(NOISE)
    if version < cv2.__version__:
        monkeypatch.setattr(cv2, "__version__", version)
    np.testing.assert_array_equal(to_uint8(NOISE), expected)


def test_much_larger_images_are_halved_on_the_way():
    large = np.add.outer(np.arange(330), np.arange(242) // 2).astype(np.uint8)
    small = cv2.resize(large, (24, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(resize_knee(large, (32, 24)).astype(int) - small).mean() < 2


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


def test_borders_that_fill_the_image_are_no_frame():
    """Both borders of two flat halves would end at the same edge."""
    halves = np.vstack([np.zeros((50, 100), np.uint8), np.full((50, 100), 255, np.uint8)])
    for image in (halves, halves.T):
        inside, frame = without_frame(image)
        assert frame == Frame() and inside.shape == (100, 100)
