import numpy as np

from knee_attention.networks.masks import masks_among, with_masks
from knee_attention.networks.model import build_model


def test_masks_of_every_branch_come_in_its_own_resolution_beside_the_same_outputs(small_knees):
    images, _ = small_knees
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    values = with_masks(model).predict(images, verbose=0)
    masks = masks_among(values)
    assert {branch: mask.shape for branch, mask in masks.items()} == {
        "att1": (8, 5, 5),
        "att2": (8, 2, 2),
    }
    assert all((mask > 0).all() and (mask < 1).all() for mask in masks.values())
    for output, said in model.predict(images, verbose=0).items():
        np.testing.assert_allclose(values[output], said, atol=1e-6)


def test_a_model_without_attention_has_no_masks(small_knees):
    images, _ = small_knees
    model = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    values = with_masks(model).predict(images, verbose=0)
    assert list(values) == ["kl"] and masks_among(values) == {}
