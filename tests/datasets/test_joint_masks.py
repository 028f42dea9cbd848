"""Expert joint masks are matched to knees by name."""

import cv2
import numpy as np
import pytest

from knee_attention.datasets.joint_masks import joint_masks
from knee_attention.errors import InputError

SHAPE = (40, 30)
FILES = ["train/0/1R.png", "train/1/1L.png", "train/2/2R.png"]


def write(path, rows=slice(15, 20), joint=255, background=0):
    mask = np.full(SHAPE, background, np.uint8)
    mask[rows] = joint
    cv2.imwrite(str(path), mask)
    return mask


def read(folder):
    return joint_masks(folder, FILES, lambda place: SHAPE)


@pytest.mark.parametrize(("joint", "background"), [(255, 0), (255, 127), (128, 127), (128, 1)])
def test_joint_is_what_lies_above_127(tmp_path, joint, background):
    """In a mask stored as JPEG the background is not exactly black."""
    mask = write(tmp_path / "1_R.png", joint=joint, background=background)
    [found] = read(tmp_path).joints
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask == joint)


def test_masks_come_in_the_order_of_their_knees(tmp_path):
    rows = {"2R": slice(0, 4), "1L": slice(8, 12), "1R": slice(20, 24)}
    masks = {name: write(tmp_path / f"{name}.png", place) > 127 for name, place in rows.items()}
    known = read(tmp_path)
    assert known.positions.tolist() == [0, 1, 2] and not known.left_out
    np.testing.assert_array_equal(known.joints, [masks["1R"], masks["1L"], masks["2R"]])


@pytest.mark.parametrize(
    ("joint", "background"), [(0, 0), (127, 127), (255, 255), (255, 128)]
)
def test_a_mask_of_nothing_or_of_everything_is_left_out(tmp_path, joint, background):
    write(tmp_path / "1R.png", joint=joint, background=background)
    with pytest.raises(InputError, match="marks no pixel or every pixel as joint"):
        read(tmp_path)
    write(tmp_path / "1L.png")
    known = read(tmp_path)
    assert known.positions.tolist() == [1]
    assert [error.path for error in known.left_out] == [str(tmp_path / "1R.png")]


def test_masks_of_no_knee_are_counted_in_one_sentence(tmp_path):
    for name in ("1R.png", "8R.png", "9R.png", "9L.png"):
        write(tmp_path / name)
    [error] = read(tmp_path).left_out
    assert error.path == str(tmp_path / "8R.png")
    assert error.reason == "no measured knee has the name of this mask or of 2 more"
