"""Batches of knees and their augmentation."""

import cv2
import numpy as np
import pytest

from knee_attention.datasets.batches import Distortions, KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.films.legs import split_knees
from knee_attention.films.radiograph import prepare_knee, resize_knee
from knee_attention.phantoms.film import phantom_film


@pytest.fixture
def knees():
    images = np.arange(10 * 4 * 3, dtype=np.uint8).reshape(10, 4, 3)
    return Knees(images, np.arange(10) % 5, [f"{i}" for i in range(10)], ["a"] * 10)


def all_of(batches):
    pairs = [batches[index] for index in range(len(batches))]
    images = np.concatenate([images for images, _ in pairs])
    return images, np.concatenate([grades["att0"] for _, grades in pairs])


def test_evaluation_keeps_order_and_covers_every_knee(knees):
    batches = KneeBatches(knees, ["att0", "att1"], 4)
    assert len(batches) == 3
    images, targets = batches[2]
    assert images.shape == (2, 4, 3, 1) and images.dtype == np.uint8
    assert list(targets) == ["att0", "att1"]
    images, grades = all_of(batches)
    np.testing.assert_array_equal(images[..., 0], knees.images)
    np.testing.assert_array_equal(grades, knees.grades)


def test_training_shuffles_and_flips_by_seed_and_epoch(knees):
    original = knees.images.copy()
    batches = KneeBatches(knees, ["att0"], 4, training=True, seed=1)
    images, grades = all_of(batches)
    assert sorted(grades) == sorted(knees.grades)
    seen = {image.tobytes() for image in images}
    allowed = [{knee.tobytes(), np.ascontiguousarray(knee[:, ::-1]).tobytes()} for knee in original]
    assert all(len(pair & seen) == 1 for pair in allowed)
    batches.start(1)
    other_epoch, _ = all_of(batches)
    assert not np.array_equal(images, other_epoch)
    another = KneeBatches(knees, ["att0"], 4, training=True, seed=2)
    assert not np.array_equal(images, all_of(another)[0])
    batches.start(0)
    np.testing.assert_array_equal(images, all_of(batches)[0])
    np.testing.assert_array_equal(knees.images, original)


def test_about_half_of_the_knees_are_flipped():
    knees = Knees(np.zeros((1000, 2, 2), np.uint8), np.zeros(1000, int), [], [])
    flipped = KneeBatches(knees, ["att0"], 10, training=True).flipped
    assert 430 < flipped.sum() < 570


def test_strong_augmentation_follows_from_seed_and_epoch_alone(knees):
    def pixels(seed, epoch, augment="strong"):
        batches = KneeBatches(knees, ["att0"], 4, training=True, seed=seed, augment=augment)
        batches.start(epoch)
        return np.concatenate([batches[index][0] for index in range(len(batches))])

    assert np.array_equal(pixels(5, 2), pixels(5, 2))
    assert not np.array_equal(pixels(5, 2), pixels(5, 3))
    assert not np.array_equal(pixels(5, 2), pixels(6, 2))
    assert not np.array_equal(pixels(5, 2), pixels(5, 2, "flips"))


def test_a_batch_is_what_is_seen_of_its_knees(knees):
    batches = KneeBatches(knees, ["att0"], 4, training=True, seed=5, augment="strong")
    batches.start(3)
    images, grades = batches[1]
    positions = batches.order[4:8]
    np.testing.assert_array_equal(images[..., 0], batches.augmented_images(positions))
    np.testing.assert_array_equal(grades["att0"], knees.grades[positions])


def test_evaluation_distorts_nothing(knees):
    batches = KneeBatches(knees, ["att0"], 4, augment="strong")
    assert np.array_equal(batches[0][0][..., 0], knees.images[:4])


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
    assert not drawn.blurs.any() and not drawn.noises.any() and (drawn.qualities == 100).all()
    for values, limit in (
        (drawn.angles, 10), (drawn.scales - 1, 0.1), (drawn.shifts, 0.06),
        (np.log(drawn.gammas), np.log(1.25)), (drawn.contrasts - 1, 0.15),
        (drawn.brightnesses, 15),
    ):  # fmt: skip
        assert np.abs(values).max() <= limit
        assert values.min() < -0.98 * limit and values.max() > 0.98 * limit


def test_wide_draws_are_wider_and_blur_noise_and_jpeg_reach_a_quarter_of_the_knees_each():
    drawn = Distortions.draw(2000, np.random.default_rng(1), "wide")
    assert drawn.scales.min() == pytest.approx(0.8, abs=0.01)
    assert drawn.scales.max() == pytest.approx(1.25, abs=0.01)
    assert np.abs(drawn.shifts).max() == pytest.approx(0.12, abs=0.001)
    reached = drawn.blurs > 0, drawn.noises > 0, drawn.qualities < 100
    for one_kind in reached:
        assert one_kind.mean() == pytest.approx(0.25, abs=0.03)
    assert np.mean(reached[0] & reached[1]) == pytest.approx(0.0625, abs=0.02)
    assert drawn.blurs.max() == pytest.approx(0.015, abs=0.001)
    assert drawn.noises.max() == pytest.approx(0.18, abs=0.002)
    assert drawn.qualities.min() == 20


def one(**given):
    nothing = {"angles": 0.0, "scales": 1.0, "shifts": (0.0, 0.0), "gammas": 1.0,
               "contrasts": 1.0, "brightnesses": 0.0, "blurs": 0.0, "noises": 0.0,
               "qualities": 100, "seeds": 0}  # fmt: skip
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
    grey = np.full((50, 40), 100, np.uint8)
    grain = one(noises=0.1, seeds=3).apply(grey, 0)
    assert grain.std() == pytest.approx(25.5, rel=0.1) and grain.mean() == pytest.approx(100, abs=2)
    assert np.array_equal(grain, one(noises=0.1, seeds=3).apply(grey, 0))
    assert not np.array_equal(grain, one(noises=0.1, seeds=4).apply(grey, 0))
    coarse = one(qualities=20).apply(grain, 0)
    assert 0.2 < np.corrcoef(coarse.ravel(), grain.ravel())[0, 1] < 0.99
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
