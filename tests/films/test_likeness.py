"""Likeness to the training knees, for kinds of images with a known answer."""

import numpy as np
import pytest

from knee_attention.films.likeness import likeness, typical_knee
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.film import phantom_film

SIZE = (112, 112)


def joints(seeds):
    """Square crops of the joints of phantom films."""
    crops = []
    for seed in seeds:
        film = phantom_film((seed % 5, 2 * seed % 5), seed)
        for x, y, width, height in film.boxes.values():
            crops.append(prepare_knee(film.image[y : y + height, x : x + width], SIZE))
    return np.stack(crops)


@pytest.fixture(scope="module")
def typical():
    return typical_knee(joints(range(12)))


def test_other_knees_are_alike_and_other_images_are_not(typical):
    knees = joints(range(20, 26))
    alike = min(likeness(knee, typical) for knee in knees)
    noise = np.random.default_rng(0).integers(0, 256, (10, *SIZE)).astype(np.uint8)
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
    assert likeness(np.full(SIZE, 90, np.uint8), typical) == 0
