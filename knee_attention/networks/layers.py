"""The two layers Keras lacks, registered so that saved models load without `custom_objects`."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="knee_attention")
class LocallyConnected2D(keras.layers.Layer):
    """A 1x1 convolution whose weights are not shared between positions.

    Keras 3 removed its LocallyConnected2D. This one covers the 1x1 kernel the attention module
    needs and keeps the weight shapes of Keras 2, so that old files map onto it one to one.

    Reference: Gorriz et al., MIDL 2019, section 3.1.

    Args:
        filters: number of output channels.
        activation: as in `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`; height and width must be known.

    Output shape: `(batch, height, width, filters)`.

    Weights: `kernel` `(height * width, channels, filters)`, `bias` `(height, width, filters)`.

    Example:

    >>> LocallyConnected2D(1, activation="sigmoid")(keras.ops.ones((2, 40, 28, 16))).shape
    (2, 40, 28, 1)
    """

    def __init__(self, filters, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        _, height, width, channels = input_shape
        if height is None or width is None:
            raise ValueError(
                "expected an input of known height and width, because every position has its own "
                f"weights. Received: shape {input_shape}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(height * width, channels, self.filters),
            initializer="glorot_uniform",
        )
        self.bias = self.add_weight(
            name="bias", shape=(height, width, self.filters), initializer="zeros"
        )

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        kernel = ops.reshape(self.kernel, (height, width, channels, self.filters))
        outputs = ops.sum(ops.expand_dims(inputs, -1) * kernel, axis=-2) + self.bias
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="knee_attention")
class AttentionPooling2D(keras.layers.Layer):
    """The mean of a feature volume weighted by an attention mask.

    `GAP(A * B) / GAP(A)`, computed as `sum(A * B) / sum(A)` in one product per sample, without
    building the masked volume.

    Reference: Gorriz et al., MIDL 2019, section 3.1; Mader's bone-age notebook.

    Call arguments: `[features, mask]`.

    Input shape: features `(batch, height, width, channels)`, mask `(batch, height, width, 1)`.

    Output shape: `(batch, channels)`, always float32.

    Example:

    >>> features, mask = keras.ops.ones((2, 4, 4, 8)), keras.ops.full((2, 4, 4, 1), 0.1)
    >>> AttentionPooling2D()([features, mask]).shape
    (2, 8)
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        features, mask = inputs
        _, height, width, channels = features.shape
        features = ops.reshape(features, (-1, height * width, channels))
        mask = ops.reshape(mask, (-1, 1, height * width))
        weighted_sum = ops.squeeze(ops.matmul(mask, features), axis=1)
        # A sigmoid mask is positive, but may underflow everywhere.
        return weighted_sum / ops.maximum(ops.sum(mask, axis=-1), keras.config.epsilon())

    def compute_output_shape(self, input_shape):
        features_shape, _ = input_shape
        return (features_shape[0], features_shape[-1])
