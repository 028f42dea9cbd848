"""Drawn metal: implants cover the joint, markers do not."""

import numpy as np
import pytest

from knee_attention.films.joints import box_around, jaccard
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.metal import paint_implant, paint_marker


@pytest.fixture(scope="module")
def film():
    phantom = phantom_film((1, 1), seed=9031)
    return phantom.image, {side: box_around(box) for side, box in phantom.boxes.items()}


def test_an_implant_lies_over_its_joint_and_is_brighter_than_bone(film):
    image, boxes = film
    for seed in range(20):
        painted, (left, top, width, height) = paint_implant(
            image, boxes["R"], np.random.default_rng(seed)
        )
        assert painted.dtype == np.uint8 and painted.shape == image.shape
        changed = np.argwhere(np.abs(painted.astype(int) - image) > 30)
        assert len(changed)
        rows, columns = changed[:, 0], changed[:, 1]
        assert left - 3 <= columns.min() and columns.max() <= left + width + 3
        assert top - 3 <= rows.min() and rows.max() <= top + height + 3
        assert jaccard((left, top, width, height), boxes["R"]) > 0.02
        assert jaccard((left, top, width, height), boxes["L"]) == 0


def test_markers_leave_the_joints_alone(film):
    image, boxes = film
    changed = 0
    for seed in range(20):
        painted = paint_marker(image, list(boxes.values()), np.random.default_rng(seed))
        changed += (painted != image).any()
        for x, y, width, height in boxes.values():
            inside = slice(int(y) + 4, int(y + height) - 4), slice(int(x) + 4, int(x + width) - 4)
            np.testing.assert_array_equal(painted[inside], image[inside])
    assert changed > 15
