"""Layers that Keras lacks. They are registered: saved models load without `custom_objects`."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="knee_attention")
class LocallyConnected2D(keras.layers.Layer):
    """A 1x1 convolution whose weights are not shared between positions.

    Keras 3 has no LocallyConnected2D. This layer supports the 1x1 kernel that attention branches
    need. Its weights have the shapes of Keras 2, so old files load without conversion.

    Reference: Gorriz et al., MIDL 2019, section 3.1.

    Args:
        filters: integer, number of output channels.
        activation: activation function, as in `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`; height and width must be known.

    Output shape: `(batch, height, width, filters)`.

    Weights: `kernel` `(height * width, channels, filters)`, `bias` `(height, width, filters)`.

    Example:

    >>> LocallyConnected2D(1, activation="sigmoid")(keras.Input((40, 28, 16))).shape
    (None, 40, 28, 1)
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
    """Mean of a feature volume, weighted by an attention mask.

    It equals `GAP(mask * features) / GAP(mask)`, but needs only one matrix product per sample and
    never stores the masked volume.

    Reference: Gorriz et al., MIDL 2019, section 3.1; Mader's bone-age notebook.

    Call arguments: `[features, mask]`.

    Input shape: features `(batch, height, width, channels)`, mask `(batch, height, width, 1)`.

    Output shape: `(batch, channels)`, always float32.

    Example:

    >>> features, mask = keras.Input((40, 28, 256)), keras.Input((40, 28, 1))
    >>> AttentionPooling2D()([features, mask]).shape
    (None, 256)
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        features, mask = inputs
        _, height, width, channels = features.shape
        features = ops.reshape(features, (-1, height * width, channels))
        mask = ops.reshape(mask, (-1, 1, height * width))
        weighted_sum = ops.squeeze(ops.matmul(mask, features), axis=1)
        # A sigmoid is positive, but float32 may round every value of a mask to 0.
        return weighted_sum / ops.maximum(ops.sum(mask, axis=-1), keras.config.epsilon())

    def compute_output_shape(self, input_shape):
        features_shape, _ = input_shape
        return (features_shape[0], features_shape[-1])


@keras.saving.register_keras_serializable(package="knee_attention")
class MirrorColumns(keras.layers.Layer):
    """Images mirrored left to right.

    Input and output shape: `(batch, height, width, channels)`.
    """

    def call(self, inputs):
        return ops.flip(inputs, axis=2)
