import cv2
import numpy as np
import pytest

from knee_attention.datasets.augmentation import Distortions
from knee_attention.films.legs import split_knees
from knee_attention.films.radiograph import prepare_knee, resize_knee
from knee_attention.phantoms.film import phantom_film

SIZE = (112, 112)


def joint_of_a_phantom():
    """A knee, cut like the public crops, and the mask of its joint."""
    film = phantom_film((3, 1), seed=4)
    x, y, width, height = film.boxes["R"]
    half = round(0.54 * width)
    centre = (y + height // 2, x + width // 2)
    window = tuple(slice(max(0, c - half), c + half) for c in centre)
    mask = film.masks["R"].astype(np.uint8) * 255
    return prepare_knee(film.image[window], SIZE), resize_knee(mask[window], SIZE)


def test_the_joint_stays_in_the_frame(monkeypatch):
    # With reflection, pixels that leave the frame would be replaced by others of the mask.
    monkeypatch.setattr(cv2, "BORDER_REFLECT_101", cv2.BORDER_CONSTANT)
    film = phantom_film((3, 1), seed=4)
    half = split_knees(film.image)["R"], split_knees(film.masks["R"].astype(np.uint8) * 255)["R"]
    halves = prepare_knee(half[0], SIZE), resize_knee(half[1], SIZE)
    for _, mask in (joint_of_a_phantom(), halves):
        drawn = Distortions.draw(500, np.random.default_rng(0))
        inside = np.zeros_like(mask)
        inside[mask > 127] = 255
        for position in range(500):
            moved = drawn.move(inside, position)
            kept = (moved > 127).sum() / drawn.scales[position] ** 2
            assert kept >= 0.9 * (inside > 127).sum()


def test_draws_stay_within_their_limits_and_fill_them():
    drawn = Distortions.draw(2000, np.random.default_rng(1))
    assert not drawn.blurs.any()
    for values, limit in (
        (drawn.angles, 10), (drawn.scales - 1, 0.1), (drawn.shifts, 0.06),
        (np.log(drawn.gammas), np.log(1.25)), (drawn.contrasts - 1, 0.15),
        (drawn.brightnesses, 15),
    ):  # fmt: skip
        assert np.abs(values).max() <= limit
        assert values.min() < -0.98 * limit and values.max() > 0.98 * limit


def test_wide_draws_are_wider_and_blur_half_of_the_knees():
    drawn = Distortions.draw(2000, np.random.default_rng(1), "wide")
    assert drawn.scales.min() == pytest.approx(0.8, abs=0.01)
    assert drawn.scales.max() == pytest.approx(1.25, abs=0.01)
    assert np.abs(drawn.shifts).max() == pytest.approx(0.12, abs=0.001)
    assert (drawn.blurs > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert drawn.blurs.max() == pytest.approx(0.012, abs=0.001)


def one(**given):
    nothing = {"angles": 0.0, "scales": 1.0, "shifts": (0.0, 0.0), "gammas": 1.0,
               "contrasts": 1.0, "brightnesses": 0.0, "blurs": 0.0}  # fmt: skip
    return Distortions(**{name: np.array([value]) for name, value in {**nothing, **given}.items()})


def test_each_distortion_does_what_it_says():
    image = np.zeros((50, 40), np.uint8)
    image[10, 8] = 200
    assert np.array_equal(one().apply(image, 0), image)
    assert one(shifts=(0.05, 0.06)).apply(image, 0)[13, 10] == 200
    assert one(brightnesses=12.0).apply(image, 0)[30, 30] == 12
    assert one(contrasts=1.1).apply(image, 0)[10, 8] == round(72.5 * 1.1 + 127.5)
    assert one(gammas=2.0).apply(image, 0)[10, 8] == round(255 * (200 / 255) ** 2)
    blurred = one(blurs=0.05).apply(image, 0)
    assert 0 < blurred[10, 8] < 20 and blurred[10, 9] > 0 and blurred.sum() > 150
    turned = one(angles=90.0).apply(np.pad(np.full((3, 3), 99, np.uint8), ((2, 16), (9, 9))), 0)
    assert turned[9:12, 2:5].min() == 99 and turned.sum() == 9 * 99
    grown = one(scales=1.1).apply(np.pad(np.full((20, 20), 99, np.uint8), 10), 0)
    assert (grown > 50).sum() == pytest.approx(22**2, rel=0.05)


def test_a_distorted_knee_is_another_and_still_a_knee():
    knee, _ = joint_of_a_phantom()
    drawn = Distortions.draw(20, np.random.default_rng(2))
    distorted = [drawn.apply(knee, position) for position in range(20)]
    assert len({image.tobytes() for image in distorted}) == 20
    for image in distorted:
        assert image.shape == knee.shape and image.dtype == np.uint8
        assert np.corrcoef(image.ravel(), knee.ravel())[0, 1] > 0.5
