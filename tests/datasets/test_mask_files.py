"""Masks may have any suffix that knees may have; files that are not read are reported."""

import cv2
import numpy as np

from knee_attention.datasets.joint_masks import joint_masks


def test_a_mask_that_is_not_read_is_left_out_by_name(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20] = 255
    (tmp_path / "a_R.dib").write_bytes(cv2.imencode(".bmp", mask)[1].tobytes())
    (tmp_path / "b_R.gif").write_bytes(b"GIF89a")
    (tmp_path / "notes.txt").write_text("words")
    found = joint_masks(tmp_path, ["train/0/a_R.png", "train/0/b_R.png"], lambda place: (40, 40))
    assert found.positions.tolist() == [0] and found.joints[0].sum() == 400
    assert [str(error) for error in found.left_out] == [
        f"{tmp_path / 'b_R.gif'}: a GIF image; this format is not supported"
    ]
