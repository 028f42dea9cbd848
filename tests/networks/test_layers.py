import keras
import numpy as np
import pytest

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
