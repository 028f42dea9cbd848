"""Augmented phantoms, and distractors."""

import numpy as np
import pytest

from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.distractors import DISTRACTORS, draw_distractor
from knee_attention.runs.localiser.variation import varied


def test_variation_follows_from_the_seed_and_changes_much():
    film = phantom_film((0, 3), seed=1, height=200).image
    first, again, other = (varied(film, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == film.shape and first.dtype == np.uint8
    assert (first != other).mean() > 0.5
    np.testing.assert_array_equal(film, phantom_film((0, 3), seed=1, height=200).image)


@pytest.mark.parametrize("shape", [(24, 200), (256, 40)])
def test_narrow_parts_are_varied_too(shape):
    film = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for seed in range(20):
        assert varied(film, np.random.default_rng(seed)).shape == shape


@pytest.mark.parametrize("kind", DISTRACTORS)
def test_strangers_are_images(kind):
    drawn = [draw_distractor(kind, (200, 160), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert drawn[0].shape == (200, 160) and np.ptp(drawn[0]) > 200
