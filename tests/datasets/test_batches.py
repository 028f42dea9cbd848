import numpy as np
import pytest

from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees


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
    np.testing.assert_array_equal(images[..., 0], batches.seen(positions))
    np.testing.assert_array_equal(grades["att0"], knees.grades[positions])


def test_evaluation_distorts_nothing(knees):
    batches = KneeBatches(knees, ["att0"], 4, augment="strong")
    assert np.array_equal(batches[0][0][..., 0], knees.images[:4])
