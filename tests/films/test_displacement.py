"""Square crops at different places on drawn legs."""

import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.displacement import JOINT, Displacement, displaced
from knee_attention.films.joint_crops import crop_of
from knee_attention.films.joints import box_around
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out, prepare_knee, resize_knee
from knee_attention.limits import KNEE_SIZE
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment

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
    prepared = SQUARE.with_displacement()
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
        preparation.with_displacement()


def test_a_film_among_square_crops_is_refused(crop):
    with pytest.raises(ValueError, match="not a square crop: 100x200 pixels"):
        displaced(np.zeros((200, 100), np.uint8), Displacement.of("1R"))


@pytest.mark.parametrize("options", [{}, {"data": "knees", "crop": "half"}])
def test_an_experiment_displaces_square_crops_of_real_joints_only(options):
    with pytest.raises(InputError, match="expected square crops of joints to displace"):
        Experiment(displace=True, **options)
