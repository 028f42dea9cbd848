"""Models of the original code, built with Keras 2, and checks of their predictions."""

import numpy as np
import tf_keras

VGG = {"att0": "block3_pool", "att1": "block4_pool", "att2": "block5_pool"}
ANTONY = {"att0": "Pool2", "att1": "Pool3", "att2": "Pool4"}


def vgg16(size, channels):
    return tf_keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(*size, channels)
    )


def antony(kernels, pool=3):
    """A network of Antony et al. as in the original code.

    Args:
        kernels: `[(filters, kernel size), ...]` for each stage.
    """

    def build(size, channels):
        x = images = tf_keras.Input((*size, channels), name="input")
        for stage, convolutions in enumerate(kernels, start=1):
            for number, (filters, kernel) in enumerate(convolutions, start=1):
                x = tf_keras.layers.Conv2D(
                    filters, kernel, strides=2 if stage == 1 else 1, padding="same",
                    activation="relu", name=f"Conv{stage}_{number}",
                )(x)  # fmt: skip
            x = tf_keras.layers.MaxPooling2D(pool, 2, name=f"Pool{stage}")(x)
        return tf_keras.Model(images, x)

    return build


antony_extended = antony([[(32, 11)], [(64, 3)] * 2, [(96, 3)] * 2, [(128, 3)] * 2])
antony_clsf = antony([[(32, 11)], [(64, 5)], [(96, 3)], [(128, 3)]])
antony_clsf_of_the_code = antony([[(32, 11)], [(64, 5)], [(96, 3)], [(128, 3)]], pool=2)


def ratio(pair):
    return pair[0] / pair[1]


def original(core, taps, fusion=None, implementation=1, divide=ratio):
    """A model of the original code, built with the layers of Keras 2."""
    layers, vectors = tf_keras.layers, []
    for index, tap in enumerate(taps):
        features = core.get_layer(tap).output
        depth = features.shape[-1]
        normalised = layers.BatchNormalization()(features)
        x = layers.Conv2D(64, 1, padding="same", activation="relu")(normalised)
        x = layers.Conv2D(16, 1, padding="same", activation="relu")(x)
        mask = layers.LocallyConnected2D(
            1, 1, padding="valid", activation="sigmoid", name=f"Att_{index}",
            implementation=implementation,
        )(x)  # fmt: skip
        spread = layers.Conv2D(depth, 1, padding="same", use_bias=False,
                               weights=[np.ones((1, 1, 1, depth))])
        spread.trainable = False
        spread_mask = spread(mask)
        masked = layers.multiply([spread_mask, normalised])
        averages = [layers.GlobalAveragePooling2D()(volume) for volume in (masked, spread_mask)]
        vectors.append(layers.Lambda(divide)(averages))
    if fusion == "early_fusion":
        fused = layers.Dense(256, activation="relu")(layers.concatenate(vectors))
        outputs = layers.Dense(5, activation="softmax")(fused)
    else:
        outputs = [layers.Dense(5, activation="softmax")(vector) for vector in vectors]
    return tf_keras.Model(core.inputs, outputs)


def trained(model):
    """The model after a step of training, with weights of a size that matters, biases too."""
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        drawn = generator.normal(size=weight.shape)
        if "kernel" in weight.name:
            weight.assign(drawn * np.sqrt(2 / np.prod(weight.shape[-3:-1])))
        else:
            weight.assign(float("gamma" in weight.name) + 0.2 * drawn)
    model.compile(tf_keras.optimizers.Adam(1e-4), "categorical_crossentropy", run_eagerly=True)
    images, targets = normalised(pixels(model)), np.eye(5, dtype=np.float32)[np.arange(4)]
    model.train_on_batch(images, [targets] * len(model.outputs))
    for output in model.outputs:
        # Larger head weights, so that the predictions differ between images.
        head = next(layer for layer in model.layers if layer.output is output)
        vectors = tf_keras.Model(model.input, head.input)(images).numpy()
        kernel = generator.normal(size=head.kernel.shape) / (vectors.std(axis=0) + 1e-3)[:, None]
        kernel /= 2 * np.sqrt(len(kernel))
        head.set_weights([kernel, generator.normal(size=5) - vectors.mean(axis=0) @ kernel])
    return model


def pixels(model):
    """Four grey 0-255 images in the size and number of channels of the old model."""
    _, height, width, channels = model.input_shape
    images = np.random.default_rng(1).integers(0, 256, (4, height, width, 1)).astype(np.float32)
    return np.repeat(images * np.array([1, 0.7, 0.4, 0.1]).reshape(4, 1, 1, 1), channels, axis=-1)


def normalised(images):
    """The images after `preprocess_input` of the original code."""
    return (images - 120.67308000216417) / 75.15477869837049


def assert_same_predictions(old, new, outputs):
    """The old model on normalised pixels and the new one on raw pixels agree."""
    images = pixels(old)
    expected = old(normalised(images), training=False)
    expected = expected if isinstance(expected, list) else [expected]
    predicted = new(images[..., :1], training=False)
    assert set(predicted) == set(outputs)
    for name, values in zip(outputs, expected, strict=True):
        # Predictions that hardly depend on the image would make a weak comparison.
        assert np.std(values, axis=0).max() > 0.03
        np.testing.assert_allclose(predicted[name], values, rtol=0, atol=1e-4)


def saved(model, folder, whole):
    path = folder / ("old.h5" if whole else "weights.hdf5")
    model.save(path) if whole else model.save_weights(path)
    return path


