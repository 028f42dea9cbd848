"""A network cut at its taps: the backbone below, the attention branches and heads above.

The backbone computes the features of a knee once. The branches can then be run again on them: with
other masks, with a gradient, or with other weights.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

from knee_attention import device
from knee_attention.errors import InputError
from knee_attention.networks.attention import MASK_SUFFIX, masks_among
from knee_attention.networks.layers import AttentionPooling2D

Features = Mapping[str, np.ndarray]
"""The features of a batch at the taps, `{branch: (batch, height, width, channels)}`."""


class TappedNetwork:
    """A model of `build_model` or `attach_attention`, cut at its taps. It shares the weights.

    Args:
        model: the model.

    Attributes:
        model: the model.
        branches: the names of its branches.
        masked: those of `branches` that have a mask; a branch of plain average pooling has none.
        taps: the tensors of features at the taps, `{branch: tensor}`.
        below: model from the input to `{branch: features}`.
        above: model from these features to the outputs and the masks.

    Raises:
        InputError: the model has no attention branches.
    """

    def __init__(self, model: keras.Model):
        names = {layer.name for layer in model.layers}
        pools = (AttentionPooling2D, keras.layers.GlobalAveragePooling2D)
        pooled = [layer.name.removesuffix("_pool") for layer in model.layers
                  if isinstance(layer, pools)]  # fmt: skip
        self.model = model
        self.branches = sorted(branch for branch in pooled if f"{branch}_norm" in names)
        self.masked = [branch for branch in self.branches if branch + MASK_SUFFIX in names]
        if not self.branches:
            raise InputError(f"{model.name}: a network without attention branches; only its grades "
                             "can be measured, by `knee-attention evaluate`")
        self.taps = {
            branch: model.get_layer(f"{branch}_norm").input for branch in self.branches
        }
        masks = {branch + MASK_SUFFIX: model.get_layer(branch + MASK_SUFFIX).output
                 for branch in self.masked}
        vectors = {output: model.get_layer(output).input for output in model.output}
        tensors = list(self.taps.values())
        self.below = for_prediction(model.input, self.taps)
        self.above = for_prediction(tensors, {**model.output, **masks})
        self._with_masks = for_prediction([*tensors, *masks.values()], model.output)
        self._vectors = for_prediction(tensors, vectors)

    def output_of(self, branch: str) -> str:
        """The output that a branch's mask changes: its own, or that of early fusion."""
        return branch if branch in self.model.output else next(iter(self.model.output))

    def grid(self, branch: str) -> tuple[int, int]:
        """Rows and columns of a branch's mask."""
        return self.model.get_layer(f"{branch}_norm").output.shape[1:3]

    def features(self, images: np.ndarray) -> Features:
        """The features of `(batch, height, width)` uint8 knees at the taps."""
        knees = np.repeat(images[..., np.newaxis], self.model.input_shape[-1], axis=-1)
        return self.below.predict_on_batch(knees)

    def values(self, features: Features) -> tuple[dict, dict]:
        """Probabilities `{output: (batch, classes)}` and masks `{branch: (batch, h, w)}`."""
        values = self.above.predict_on_batch(self._listed(features))
        return {output: values[output] for output in self.model.output}, masks_among(values)

    def with_masks(self, features: Features, masks: Mapping[str, np.ndarray]) -> dict:
        """Probabilities `{output: (batch, classes)}` with given masks in place of the network's.

        Args:
            features: the features of a batch.
            masks: `{branch: (batch, h, w)}` for each branch of `masked`.
        """
        given = [masks[branch][..., np.newaxis] for branch in self.masked]
        return self._with_masks.predict_on_batch([*self._listed(features), *given])

    def activation_maps(
        self, features: Features, branch: str, classes: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Grad-CAM and HiResCAM of a tap: where its features raise the logit of a class.

        Grad-CAM weights each channel by its mean gradient, HiResCAM each value by its own.

        References: Selvaraju et al., ICCV 2017; Draelos and Carin, arXiv 2011.08891.

        Args:
            features: the features of a batch.
            branch: the branch of the tap. The logit is that of `output_of(branch)`.
            classes: `(batch,)` the class of each knee.

        Returns:
            `{"Grad-CAM": maps, "HiResCAM": maps}`, each `(batch, h, w)` float32, at least 0.
        """
        head = self.model.get_layer(self.output_of(branch))
        chosen = np.eye(head.units, dtype=np.float32)[classes]

        def score(given):
            logits = ops.matmul(self._vectors(given)[head.name], head.kernel) + head.bias
            return ops.sum(logits * chosen)

        place = self.branches.index(branch)
        given = [np.asarray(values, np.float32) for values in self._listed(features)]
        values, gradient = given[place], _gradient(score, given)[place]
        weights = {"Grad-CAM": gradient.mean(axis=(1, 2), keepdims=True), "HiResCAM": gradient}
        return {
            name: np.maximum((weight * values).sum(axis=-1), 0)
            for name, weight in weights.items()
        }

    def _listed(self, features: Features) -> list[np.ndarray]:
        return [features[branch] for branch in self.branches]

    def attention_layers(self) -> list:
        """The layers of the attention branches that compute the masks and have weights."""
        parts = ("_norm", "_conv1", "_conv2", MASK_SUFFIX)
        return [self.model.get_layer(branch + part) for branch in self.masked for part in parts]


def for_prediction(inputs, outputs) -> keras.Model:
    """A part of a model, for `predict_on_batch`."""
    part = keras.Model(inputs, outputs)
    part.jit_compile = device.choose_jit_compile()  # Keras' choice is slow on a CPU
    return part


def _gradient(score, features: list[np.ndarray]) -> list[np.ndarray]:
    """The gradient of a score with respect to the features."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(values) for values in features]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = score(tensors)
        found = tape.gradient(total, tensors, unconnected_gradients="zero")
    elif backend == "jax":
        import jax

        found = jax.grad(score)(features)
    else:
        raise InputError(f"Grad-CAM needs the Keras backend tensorflow or jax, not {backend}; set "
                         "KERAS_BACKEND")
    return [np.asarray(values, np.float32) for values in found]


def layers_downwards(network: keras.Model) -> list:
    """The layers of a network that have weights, from the top to the input."""
    return [layer for layer in reversed(network.layers) if layer.weights]


def shuffle_weights(layers: list, generator: np.random.Generator) -> None:
    """Shuffle the values of each weight tensor.

    The distribution of its values stays the same; what it learned is lost.

    Reference: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
    """
    for layer in layers:
        layer.set_weights([
            generator.permutation(weight.ravel()).reshape(weight.shape)
            for weight in layer.get_weights()
        ])  # fmt: skip


@contextmanager
def weights_restored(model: keras.Model) -> Iterator[None]:
    """Set the weights of a model back at the end of the block."""
    before = model.get_weights()
    try:
        yield
    finally:
        model.set_weights(before)
