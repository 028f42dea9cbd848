import keras
import numpy as np
import pytest

from knee_attention.networks.attention import attention_branch, concatenated_head, grade_head
from knee_attention.networks.baselines import dense_classifier, joint_heads

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
    vectors = [attention_branch(inputs, name) for name in ("att0", "att1")]
    outputs = [concatenated_head(vectors, "kl"), grade_head(vectors[0], "att0")]
    model = keras.Model(inputs, outputs)
    assert model.get_layer("att0_conv1").compute_dtype == "bfloat16"
    for name in ("att0_mask", "att0_pool", "att1_mask", "att1_pool", "kl", "att0"):
        assert model.get_layer(name).compute_dtype == "float32", name
    baselines = [*joint_heads(inputs, "joint", "regression"), dense_classifier(inputs, "alone")]
    assert {keras.backend.standardize_dtype(tensor.dtype) for tensor in baselines} == {"float32"}


def test_branches_are_fused_by_a_rectified_layer():
    inputs = [keras.Input((3,)), keras.Input((4,))]
    model = keras.Model(inputs, concatenated_head(inputs, "kl"))
    fusion, head = model.get_layer("fusion_dense"), model.get_layer("kl")
    assert fusion.kernel.shape == (7, 256) and head.kernel.shape == (256, 5)
    vectors = [np.random.default_rng(i).normal(size=(6, i)).astype("float32") for i in (3, 4)]
    kernel, bias = fusion.get_weights()
    hidden = relu(np.concatenate(vectors, axis=1) @ kernel + bias)
    kernel, bias = head.get_weights()
    exponentials = np.exp(hidden @ kernel + bias)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(vectors, verbose=0), expected, atol=1e-5)
