"""Measures of masks: against expert boxes, and in an audit."""

import numpy as np
import pytest

from knee_attention.evidence import audit
from knee_attention.evidence.audit import localisation
from knee_attention.evidence.figures.pictures import OPACITY, overlay


def test_localisation_is_one_for_a_uniform_mask_and_the_ratio_for_a_two_level_one():
    joints = np.zeros((2, 40, 20), bool)
    joints[:, 10:20] = True
    uniform = np.full((2, 40, 20), 0.3, np.float32)
    assert localisation(uniform, joints)["inside_over_outside"] == pytest.approx(1)
    two_levels = np.where(joints, 0.6, 0.2).astype(np.float32)
    found = localisation(two_levels, joints)
    assert found["inside"] == pytest.approx(0.6)
    assert found["inside_over_outside"] == pytest.approx(3)


def test_knees_without_a_joint_region_do_not_count():
    joints = np.zeros((2, 8, 8), bool)
    joints[0, :4] = True
    masks = np.stack([np.where(joints[0], 0.8, 0.4), np.full((8, 8), 9.0)]).astype(np.float32)
    assert localisation(masks, joints)["inside_over_outside"] == pytest.approx(2)


def test_a_uniform_mask_scores_its_own_references():
    joints = np.zeros((2, 40, 20), bool)
    joints[0, 10:20] = True
    joints[1, 10:14, 5:10] = True
    found = localisation(np.full((2, 5, 5), 0.3, np.float32), joints)
    assert found["inside_over_outside"] == pytest.approx(1)
    assert found["energy_inside_uniform"] == pytest.approx((200 / 800 + 20 / 800) / 2)
    assert found["energy_inside"] == pytest.approx(found["energy_inside_uniform"])
    assert found["pointing_game"] == pytest.approx(found["pointing_game_uniform"])


def test_energy_and_pointing_game_of_masks_made_by_hand():
    """Both masks have the same energy on the joint; only the first has its maximum there."""
    joints = np.zeros((2, 4, 4), bool)
    joints[:, :2] = True
    masks = np.full((2, 4, 4), 0.1, np.float32)
    masks[:, :2] = 0.3
    masks[0, 0, 0] = 0.9
    masks[1, 3, 3] = 0.9
    found = localisation(masks, joints)
    assert found["pointing_game"] == 0.5
    energy = (7 * 0.3 + 0.9) / (7 * 0.3 + 0.9 + 0.8), 8 * 0.3 / (8 * 0.3 + 0.7 + 0.9)
    assert found["energy_inside"] == pytest.approx(sum(energy) / 2)
    assert found["energy_inside_uniform"] == found["pointing_game_uniform"] == 0.5


def test_without_any_joint_region_there_is_no_localisation():
    assert localisation(np.ones((2, 4, 4), np.float32), np.zeros((2, 8, 8), bool)) is None


def test_an_overlay_is_brightest_where_the_mask_is_highest():
    mask = np.array([[0.2, 0.4], [0.2, 0.2]], np.float32)
    laid_over = overlay(np.full((40, 20), 100, np.uint8), mask)
    assert laid_over.shape == (40, 20, 3) and laid_over.dtype == np.uint8
    brightness = laid_over.sum(axis=2)
    assert brightness[0, -1] == brightness.max() > brightness[-1, 0]


def test_an_overlay_shows_the_film_where_attention_is_lowest_and_colour_where_it_is_highest():
    film = np.random.default_rng(0).integers(0, 255, (40, 20)).astype(np.uint8)
    mask = np.repeat(np.linspace(0.2, 0.4, 40, dtype=np.float32)[:, np.newaxis], 20, axis=1)
    laid_over = overlay(film, mask)
    np.testing.assert_array_equal(laid_over[0], np.dstack([film[0]] * 3)[0])
    yellow = (1 - OPACITY) * film[-1][:, np.newaxis] + OPACITY * np.array([164, 255, 252])
    np.testing.assert_allclose(laid_over[-1], yellow, atol=1)
    uniform = overlay(film, np.full((2, 2), 0.5, np.float32))
    np.testing.assert_array_equal(uniform, np.dstack([film] * 3))


def half_joint():
    joint = np.zeros((16, 16), bool)
    joint[6:8] = True
    return joint


def test_where_measures_a_mask_on_the_joint_beside_it_and_a_uniform_one():
    on, beside, far = np.zeros((3, 16, 16), np.float32)
    on[6:8] = 1
    beside[8] = 1
    far[15] = 1
    masks = [on, beside, far, np.zeros((4, 4)), on]
    joints = [half_joint()] * 4 + [np.zeros((16, 16), bool)]
    found = audit.where(masks, joints, (8, 8))
    # half a cell of 8 rows is one pixel, so the widened joint is a quarter of the image
    np.testing.assert_allclose(found["highest"], [1, 1, 0, 0.25, np.nan])
    np.testing.assert_allclose(found["energy"], [1, 0, 0, 0.125, np.nan])
    assert found["average_precision"][0] == 1
    np.testing.assert_allclose(found["average_precision"][3], 0.125)


def test_the_band_is_the_middle_quarter():
    band = audit.horizontal_band((224, 160))
    assert band.mean() == 0.25 and band[84:140].all()


@pytest.mark.parametrize("counts", [(2, 2, 2), (1, 2, 1), (3, 1, 2), (1, 1)])
def test_another_knee_is_never_one_of_the_same_person(counts):
    subjects = np.repeat(np.arange(len(counts)).astype(str), counts)
    subjects = np.random.default_rng(0).permutation(subjects)
    others = audit.of_other_persons(subjects)
    assert sorted(others) == list(range(len(subjects)))
    assert (subjects[others] != subjects).all()


def test_no_other_person_gives_no_other_mask():
    assert audit.of_other_persons(["a", "a", "b"]) is None
    names = audit.replacements(np.full((2, 3, 3), 0.2), ["a", "a"])
    assert list(names) == [audit.MEAN, audit.UNIFORM, audit.INVERTED]


def test_correlations_are_those_of_numpy_and_undefined_for_a_uniform_mask():
    masks, others = np.random.default_rng(0).random((2, 4, 5, 6))
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(masks, others, strict=True)]
    np.testing.assert_allclose(audit.correlations(masks, others), expected)
    np.testing.assert_allclose(audit.correlations(masks, 2 * masks[0] + 1)[0], 1)
    assert np.isnan(audit.correlations(masks, np.ones((5, 6)))).all()


def test_a_paired_difference_is_narrower_than_the_two_intervals():
    generator = np.random.default_rng(0)
    own = generator.random(200)
    subjects = [str(number // 2) for number in range(200)]
    rows = {audit.OWN: {"accuracy": own}, audit.MEAN: {"accuracy": own - 0.1}}
    found = audit.estimates(rows, subjects)
    assert "own_minus_this" not in found[audit.OWN]["accuracy"]
    low, high = found[audit.MEAN]["accuracy"]["interval"]
    assert low < found[audit.MEAN]["accuracy"]["value"] < high
    assert found[audit.MEAN]["accuracy"]["own_minus_this"] == {"value": 0.1, "interval": [0.1, 0.1]}


def test_undefined_values_do_not_count():
    assert audit.estimate(np.array([np.nan, np.nan]), ["a", "b"])["value"] is None
    assert audit.estimate(np.array([0.5, np.nan]), ["a", "b"]) == {"value": 0.5, "interval": None}
