"""Measures of an audit, on masks made by hand."""

import numpy as np
import pytest

from knee_attention.evidence import audit


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
