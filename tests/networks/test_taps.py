"""Networks cut at their taps: other masks, class activation maps, shuffled weights."""

import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.model import build_model
from knee_attention.networks.taps import TappedNetwork, shuffle_weights, weights_restored

pytestmark = pytest.mark.usefixtures("eager")


def network(branches=("att1", "att2"), fusion="multi_loss", attention="local"):
    keras.utils.set_random_seed(0)
    return build_model("antony_clsf", branches, fusion, (96, 96), attention=attention)


@pytest.mark.parametrize("fusion", ["multi_loss", "early_fusion"])
def test_its_own_masks_give_its_own_grades_and_another_mask_changes_one_branch(
    fusion, small_knees
):
    model = network(fusion=fusion)
    tapped = TappedNetwork(model)
    features = tapped.features(small_knees[0][..., 0])
    probabilities, masks = tapped.values(features)
    whole = model.predict_on_batch(small_knees[0])
    again = tapped.with_masks(features, masks)
    for output in model.output:
        np.testing.assert_allclose(probabilities[output], whole[output], atol=1e-6)
        np.testing.assert_allclose(again[output], whole[output], atol=1e-6)
    corner = np.zeros_like(masks["att1"])
    corner[:, 0, 0] = 1
    changed = tapped.with_masks(features, masks | {"att1": corner})
    assert np.abs(changed[tapped.output_of("att1")] - again[tapped.output_of("att1")]).max() > 1e-4
    if fusion == "multi_loss":
        np.testing.assert_array_equal(changed["att2"], again["att2"])
        kernel, bias = model.get_layer("att1").get_weights()
        [scale, offset, mean, variance] = model.get_layer("att1_norm").get_weights()
        first = (features["att1"][:, 0, 0] - mean) / np.sqrt(variance + 1e-3) * scale + offset
        logits = first @ kernel + bias
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(changed["att1"], expected, atol=1e-5)


def test_grad_cam_is_that_of_tf_keras_vis(small_knees):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("tf-keras-vis needs TensorFlow")
    gradcam = pytest.importorskip("tf_keras_vis.gradcam")
    from tf_keras_vis.utils.scores import CategoricalScore

    model = network()
    tapped = TappedNetwork(model)
    features = tapped.features(small_knees[0][..., 0])
    classes = np.arange(8) % 5
    ours = tapped.activation_maps(features, "att1", classes)["Grad-CAM"]
    model.get_layer("att1").activation = keras.activations.linear
    logits = keras.Model(model.input, model.output["att1"])
    theirs = gradcam.Gradcam(logits, clone=False)(
        CategoricalScore(classes.tolist()), small_knees[0].astype("float32"),
        penultimate_layer="pool3", seek_penultimate_conv_layer=False, expand_cam=False,
        normalize_cam=False,
    )  # fmt: skip
    assert ours.max() > 0
    np.testing.assert_allclose(ours / ours.max(), np.reshape(theirs, ours.shape) / ours.max(),
                               atol=1e-4)


def test_hirescam_of_plain_average_pooling_is_grad_cam(small_knees):
    tapped = TappedNetwork(network(("att1",), "single", "none"))
    assert tapped.branches == ["att1"] and tapped.masked == []
    features = tapped.features(small_knees[0][..., 0])
    maps = tapped.activation_maps(features, "att1", np.zeros(8, int))
    np.testing.assert_allclose(maps["HiResCAM"], maps["Grad-CAM"], rtol=1e-4, atol=1e-7)


def test_shuffled_weights_keep_their_values_and_are_restored():
    model = network()
    before = model.get_weights()
    layer = model.get_layer("conv3")
    with weights_restored(model):
        shuffle_weights([layer], np.random.default_rng(0))
        shuffled = layer.get_weights()[0]
    kernel = layer.get_weights()[0]
    np.testing.assert_array_equal(np.sort(shuffled.ravel()), np.sort(kernel.ravel()))
    assert abs(np.corrcoef(shuffled.ravel(), kernel.ravel())[0, 1]) < 0.05
    for weight, restored in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, restored)


def test_a_network_without_branches_is_refused():
    model = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    with pytest.raises(InputError, match="without attention branches"):
        TappedNetwork(model)
