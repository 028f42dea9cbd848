import numpy as np
import pytest

from knee_attention.evidence.attention_maps import attention_masks, localisation, mask_model
from knee_attention.networks.model import build_model


def test_masks_of_every_branch_come_in_its_own_resolution(small_knees):
    images, _ = small_knees
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    masks = attention_masks(model, images)
    assert {branch: mask.shape for branch, mask in masks.items()} == {
        "att1": (8, 5, 5),
        "att2": (8, 2, 2),
    }
    assert all((mask > 0).all() and (mask < 1).all() for mask in masks.values())
    assert mask_model(model).count_params() < model.count_params()


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
