"""The layers and the attention branch: shapes, values by hand, saving."""

import keras
import numpy as np
import pytest

from knee_attention.networks.attention import attention_branch, grade_head
from knee_attention.networks.fusions import FUSIONS
from knee_attention.networks.layers import AttentionPooling2D, LocallyConnected2D


def test_locally_connected_has_the_weight_shapes_of_keras_2():
    layer = LocallyConnected2D(3)
    layer.build((None, 4, 5, 16))
    assert [tuple(weight.shape) for weight in layer.weights] == [(20, 16, 3), (4, 5, 3)]
    assert layer.compute_output_shape((None, 4, 5, 16)) == (None, 4, 5, 3)


def test_locally_connected_has_its_own_weights_at_each_position():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(2, 3, 2, 4)).astype("float32")
    layer = LocallyConnected2D(2, activation="sigmoid")
    layer.build(inputs.shape)
    kernel = generator.normal(size=(6, 4, 2)).astype("float32")
    bias = generator.normal(size=(3, 2, 2)).astype("float32")
    layer.set_weights([kernel, bias])
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    for row in range(3):
        for column in range(2):
            linear = inputs[:, row, column] @ kernel[row * 2 + column] + bias[row, column]
            expected = 1 / (1 + np.exp(-linear))
            np.testing.assert_allclose(outputs[:, row, column], expected, rtol=1e-5)


def test_locally_connected_needs_a_known_size():
    with pytest.raises(ValueError, match="known height and width"):
        LocallyConnected2D(1).build((None, None, None, 16))


def test_pooling_equals_the_literal_multiply_and_two_averages():
    generator = np.random.default_rng(1)
    features = generator.normal(size=(3, 5, 4, 7)).astype("float32")
    mask = generator.uniform(0.01, 1, size=(3, 5, 4, 1)).astype("float32")
    pool = keras.layers.GlobalAveragePooling2D()
    literal = pool(mask * features) / pool(keras.ops.convert_to_tensor(mask))
    ours = AttentionPooling2D()([features, mask])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(literal), atol=1e-6
    )


def test_pooling_stays_finite_when_the_mask_underflows():
    features, mask = np.ones((1, 2, 2, 3), "float32"), np.zeros((1, 2, 2, 1), "float32")
    outputs = AttentionPooling2D()([features, mask])
    assert np.isfinite(keras.ops.convert_to_numpy(outputs)).all()


@pytest.mark.parametrize("faint", [1e-2, 1e-5])
def test_a_mask_that_is_faint_everywhere_weighs_as_a_strong_one(faint):
    """The mean divides by the mask's sum, so a mask with a small sum gives the same mean."""
    generator = np.random.default_rng(3)
    features = generator.normal(size=(2, 3, 4, 5)).astype("float32")
    mask = generator.uniform(0.1, 1, size=(2, 3, 4, 1)).astype("float32")
    strong, weak = (
        keras.ops.convert_to_numpy(AttentionPooling2D()([features, mask * scale]))
        for scale in (1, np.float32(faint))
    )
    np.testing.assert_allclose(weak, strong, rtol=1e-4)


def test_a_new_mask_prefers_no_place():
    layer = LocallyConnected2D(1, activation="sigmoid")
    masks = layer(np.zeros((1, 5, 4, 16), "float32"))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(masks), np.full((1, 5, 4, 1), 0.5))
    assert np.std(layer.get_weights()[0]) > 0.01


def test_pooling_is_float32_under_a_mixed_policy():
    layer = AttentionPooling2D(dtype="mixed_bfloat16")
    assert layer.compute_dtype == "float32"
    assert layer.compute_output_shape([(None, 5, 4, 7), (None, 5, 4, 1)]) == (None, 7)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_layers_survive_saving(tmp_path, suffix):
    inputs = keras.Input((4, 3, 2))
    mask = LocallyConnected2D(1, activation="sigmoid")(inputs)
    model = keras.Model(inputs, AttentionPooling2D()([inputs, mask]))
    model.save(tmp_path / f"model{suffix}")
    loaded = keras.saving.load_model(tmp_path / f"model{suffix}", compile=False)
    x = np.random.default_rng(2).normal(size=(2, 4, 3, 2)).astype("float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))


HEIGHT, WIDTH, CHANNELS = 5, 4, 12


def relu(values):
    return np.maximum(values, 0)


def branch_in_numpy(features, weights):
    """Section 3.1 of the paper in NumPy, in float64."""
    gamma, beta, mean, variance = weights["norm"]
    normalised = (features - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    kernel, bias = weights["conv1"]
    x = relu(normalised @ kernel[0, 0] + bias)
    kernel, bias = weights["conv2"]
    x = relu(x @ kernel[0, 0] + bias)
    kernel, bias = weights["mask"]
    scores = np.zeros((len(features), HEIGHT, WIDTH))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            own = kernel[row * WIDTH + column][:, 0]
            scores[:, row, column] = x[:, row, column] @ own + bias[row, column, 0]
    mask = 1 / (1 + np.exp(-scores))
    vector = (mask[..., None] * normalised).sum((1, 2)) / mask.sum((1, 2))[:, None]
    kernel, bias = weights["head"]
    logits = vector @ kernel + bias
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_branch_equals_an_independent_computation():
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    model = keras.Model(inputs, grade_head(attention_branch(inputs, "att0"), "att0"))
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 1, w.shape) - 0.3 * (w.ndim > 1)
                       for w in model.get_weights()])
    layers = {"norm": "att0_norm", "conv1": "att0_conv1", "conv2": "att0_conv2",
              "mask": "att0_mask", "head": "att0"}
    weights = {
        part: [values.astype("float64") for values in model.get_layer(name).get_weights()]
        for part, name in layers.items()
    }
    features = generator.normal(size=(6, HEIGHT, WIDTH, CHANNELS)).astype("float32")
    expected = branch_in_numpy(features.astype("float64"), weights)
    assert expected.std(axis=0).max() > 0.01
    np.testing.assert_allclose(model.predict(features, verbose=0), expected, atol=1e-5)


@pytest.fixture
def mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def test_masks_and_outputs_keep_their_digits_under_mixed_precision(mixed_precision):
    """bfloat16 has 8 significant bits: neighbours in a mask, and probabilities, would be equal."""
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    vectors = {name: attention_branch(inputs, name) for name in ("att0", "att1")}
    fused = FUSIONS["early_fusion"].build(vectors)
    outputs = [*fused.values(), grade_head(vectors["att0"], "att0")]
    model = keras.Model(inputs, outputs)
    assert model.get_layer("att0_conv1").compute_dtype == "bfloat16"
    for name in ("att0_mask", "att0_pool", "att1_mask", "att1_pool", "kl", "att0"):
        assert model.get_layer(name).compute_dtype == "float32", name
    baselines = [tensor for fusion in ("joint", "dense")
                 for tensor in FUSIONS[fusion].build(inputs).values()]  # fmt: skip
    assert {keras.backend.standardize_dtype(tensor.dtype) for tensor in baselines} == {"float32"}


def test_branches_are_fused_by_a_rectified_layer():
    inputs = [keras.Input((3,)), keras.Input((4,))]
    fused = FUSIONS["early_fusion"].build(dict(enumerate(inputs)))
    model = keras.Model(inputs, fused["kl"])
    fusion, head = model.get_layer("fusion_dense"), model.get_layer("kl")
    assert fusion.kernel.shape == (7, 256) and head.kernel.shape == (256, 5)
    vectors = [np.random.default_rng(i).normal(size=(6, i)).astype("float32") for i in (3, 4)]
    kernel, bias = fusion.get_weights()
    hidden = relu(np.concatenate(vectors, axis=1) @ kernel + bias)
    kernel, bias = head.get_weights()
    exponentials = np.exp(hidden @ kernel + bias)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(vectors, verbose=0), expected, atol=1e-5)
