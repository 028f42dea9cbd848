"""Phantom films are reproducible, look like real films, and show the grade only at the joint."""

import cv2
import numpy as np
import pytest

from knee_attention.phantoms import anatomy
from knee_attention.phantoms.film import phantom_film


@pytest.fixture(scope="module")
def films():
    """Twelve films with every grade on both sides."""
    return [phantom_film((seed % 5, (seed // 2) % 5), seed, height=256) for seed in range(12)]


def valley(film, side):
    """The contrast of the joint space in its fainter compartment: 0 none, 1 black against bone."""
    x, y, width, height = film.boxes[side]
    rows = film.image[y : y + height].astype(float)
    depths = []
    for start, stop in ((0.18, 0.36), (0.64, 0.82)):
        columns = rows[:, x + int(start * width) : x + int(stop * width)]
        depths.append(np.mean(1 - columns[8:-8].min(axis=0) / np.median(columns, axis=0)))
    return min(depths)


def test_the_same_arguments_give_the_same_film():
    first, again = phantom_film((1, 3), 7), phantom_film((1, 3), 7)
    assert np.array_equal(first.image, again.image)
    assert first.boxes == again.boxes


def test_another_seed_gives_another_film():
    first, other = phantom_film((1, 3), 7, 128), phantom_film((1, 3), 8, 128)
    assert first.boxes != other.boxes


@pytest.mark.parametrize("height", [128, 301, 600])
def test_shapes_and_types(height):
    film = phantom_film((0, 4), 3, height)
    assert film.image.dtype == np.uint8
    assert film.image.shape[0] == height
    assert 1.2 < film.image.shape[1] / height < 1.26
    assert film.grades == {"R": 0, "L": 4}
    assert film.spacing * height == pytest.approx(350)
    for side in "RL":
        assert film.masks[side].dtype == bool
        assert film.masks[side].shape == film.image.shape


def test_box_does_not_depend_on_resolution():
    small, large = (phantom_film((2, 2), 5, height) for height in (256, 768))
    for side in "RL":
        in_mm = np.array(small.boxes[side]) * small.spacing
        assert np.allclose(in_mm, np.array(large.boxes[side]) * large.spacing, atol=3.5)


def test_right_knee_is_on_the_left_of_the_image(films):
    for film in films:
        right, left = film.boxes["R"], film.boxes["L"]
        assert right[0] + right[2] < left[0]


def test_box_encloses_its_mask_and_lies_on_the_film(films):
    for film in films:
        for side in "RL":
            x, y, width, height = film.boxes[side]
            assert 0 <= x < x + width <= film.image.shape[1]
            assert 0 <= y < y + height <= film.image.shape[0]
            rows, columns = np.nonzero(film.masks[side])
            assert (columns.min(), columns.max() + 1) == (x, x + width)
            assert (rows.min(), rows.max() + 1) == (y, y + height)


def test_mask_is_as_wide_as_a_joint_and_about_42_mm_tall(films):
    for film in films:
        for side in "RL":
            per_column = film.masks[side].sum(axis=0)
            assert np.median(per_column[per_column > 0]) * film.spacing == pytest.approx(42, abs=4)
            assert 88 < film.boxes[side][2] * film.spacing < 130


def test_joint_centres_follow_the_measured_percentiles():
    rng = np.random.default_rng(0)
    right, left = np.array(
        [[pose.centre for pose in anatomy.sample_poses(430, rng)] for _ in range(2000)]
    ).swapaxes(0, 1)
    for values, measured in (
        (left[:, 0] - right[:, 0], anatomy.JOINT_DISTANCE),
        (left[:, 1] - right[:, 1], anatomy.LEFT_BELOW_RIGHT),
        ((left[:, 0] + right[:, 0]) / 2, anatomy.MIDPOINT_FROM_LEFT),
        ((left[:, 1] + right[:, 1]) / 2, anatomy.JOINT_FROM_TOP),
    ):
        assert np.percentile(values, [5, 50, 95]) == pytest.approx(measured[1:4], abs=6)
        assert measured[0] - 0.01 < values.min() and values.max() < measured[-1] + 0.01


def test_boxes_are_centred_where_joints_were_measured(films):
    for film in films:
        centres = np.array([film.boxes[side] for side in "RL"])
        centres = (centres[:, :2] + centres[:, 2:] / 2) * film.spacing
        distance, step = centres[1] - centres[0]
        assert 130 < distance < 249
        assert -20 < step < 22
        assert 114 < centres[:, 1].mean() < 264


def test_grades_narrow_the_joint_and_grow_osteophytes():
    rng = np.random.default_rng(0)
    gaps, spurs = [], []
    for grade in range(5):
        knees = [anatomy.sample_knee(grade, 1.0, 1.0, 90.0, rng) for _ in range(200)]
        gaps.append([min(knee.gaps) for knee in knees])
        spurs.append([max(knee.femur_spurs + knee.tibia_spurs) for knee in knees])
    assert np.all(np.diff(np.mean(gaps, axis=1)) < -0.5)
    assert np.all(np.diff(np.mean(spurs, axis=1)) > 1)
    assert np.max(gaps[1]) > np.min(gaps[0])  # neighbours overlap
    assert np.max(gaps[3]) < np.min(gaps[0])  # 0 and 3 do not


def test_the_dark_joint_space_fades_with_the_grade():
    depth = [
        np.mean([valley(phantom_film((grade, grade), seed), side)
                 for seed in range(4) for side in "RL"])
        for grade in (0, 2, 4)
    ]
    assert depth[0] > depth[1] > depth[2]


def test_only_the_joint_tells_the_grade():
    for seed in range(4):
        healthy, worn = phantom_film((0, 0), seed), phantom_film((4, 4), seed)
        assert healthy.boxes == worn.boxes
        change = cv2.absdiff(healthy.image, worn.image).astype(float)
        masks = [healthy.masks[side] for side in "RL"]
        assert min(change[mask].mean() for mask in masks) > 2
        assert change[masks[0] | masks[1]].sum() > 0.8 * change.sum()
        margin = round(15 / healthy.spacing)
        thighs = min(box[1] for box in healthy.boxes.values()) - margin
        calves = max(box[1] + box[3] for box in healthy.boxes.values()) + margin
        assert change[:thighs].mean() < 0.05
        assert change[calves:].mean() < 0.05


@pytest.mark.parametrize("grades", [(5, 0), (0, -1), (2,), (1.5, 2)])
def test_refuses_grades_that_do_not_exist(grades):
    with pytest.raises(ValueError, match="expected two grades.*Received"):
        phantom_film(grades, 0)


def test_refuses_a_film_too_small_to_show_a_joint():
    with pytest.raises(ValueError, match="expected a height.*Received: 127"):
        phantom_film((0, 0), 0, 127)
