"""Re-estimate the statistics of batch normalisation before each validation ("precise BN").

An attention branch normalises features that change fast during training. The moving statistics of
Keras (momentum 0.99) lag behind in a short epoch. The validation loss is then noisy, and with it
the learning rate schedule, early stopping and the choice of the branch. Therefore the statistics
are computed again, on training images with the current weights (Wu and Johnson, "Rethinking Batch
in BatchNorm", 2021, section 3).
"""

from collections.abc import Callable, Iterable

import keras
import numpy as np

from knee_attention.datasets.batches import EVALUATION_BATCH, KneeBatches

SHARE_OF_EPOCH, MOST_KNEES = 0.25, 2048


class PreciseBatchNorm(keras.callbacks.Callback):
    """Keras callback that re-estimates all batch statistics before each validation.

    The forward passes run in training mode, so that backbones with batch normalisation (ResNet-50)
    see the statistics of their training. A quarter of the images is used, at most 2,048, always the
    same. A forward pass costs a third of a training step, so this takes less than a tenth of an
    epoch.

    Args:
        training: the training batches; they are not changed.
    """

    def __init__(self, training: KneeBatches):
        super().__init__()
        batch_size = max(training.batch_size, EVALUATION_BATCH)
        self.batches = KneeBatches(
            training.knees, training.outputs, batch_size, training=True, seed=training.seed
        )
        share = min(SHARE_OF_EPOCH, MOST_KNEES / len(training.knees))
        self.steps = max(1, int(share * len(self.batches)))
        self.statistics_of = None

    def on_test_begin(self, logs=None):
        if self.statistics_of is None:
            self.statistics_of = statistics_pass(self.model)
        images = (self.batches[step][0] for step in range(self.steps))
        estimate_statistics(self.model, images, self.statistics_of)


StatisticsPass = Callable[[np.ndarray], tuple[list, list]]
"""Function from a batch to the means and variances of each batch normalisation on this batch."""


def normalisations_of(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The batch normalisation layers of a model, in order."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics_pass(model: keras.Model) -> StatisticsPass:
    """A forward pass in training mode that returns the statistics of a batch.

    The momenta of the batch normalisations must be 0 when it runs.

    On JAX the pass is compiled once per batch shape, with the momenta of that call. Without
    compilation JAX runs operation by operation, which takes longer than training on a GPU. The
    compiled pass uses the same dropout state for every batch; no normalisation comes after dropout.
    """
    means = [layer.moving_mean for layer in normalisations_of(model)]
    variances = [layer.moving_variance for layer in normalisations_of(model)]
    if keras.backend.backend() != "jax":

        def run(images):
            model(images, training=True)
            return means, variances

        return run
    import jax

    order = [id(variable) for variable in model.non_trainable_variables]
    places = [[order.index(id(variable)) for variable in kind] for kind in (means, variances)]

    @jax.jit
    def compiled(trainable, others, images):
        _, others = model.stateless_call(trainable, others, images, training=True)
        return tuple([others[place] for place in kind] for kind in places)

    def run(images):
        trainable = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        return compiled(trainable, others, images)

    return run


def estimate_statistics(
    model: keras.Model, images: Iterable[np.ndarray], statistics_of: StatisticsPass | None = None
) -> None:
    """Set the moving mean and variance of every batch normalisation to those of `images`.

    Args:
        model: changed in place, except its trainable weights.
        images: batches `(batch, height, width, 1)`.
        statistics_of: a `statistics_pass` of the model, to avoid compiling it again.
    """
    normalisations = normalisations_of(model)
    if not normalisations:
        return
    statistics_of = statistics_of or statistics_pass(model)
    momenta = [layer.momentum for layer in normalisations]
    means, squares = [], []
    try:
        for layer in normalisations:
            layer.momentum = 0.0  # the moving statistics become those of the last batch
        for batch in images:
            seen = statistics_of(batch)
            batch_means, variances = ([*map(keras.ops.convert_to_numpy, kind)] for kind in seen)
            means.append(batch_means)
            squares.append([v + m**2 for v, m in zip(variances, batch_means, strict=True)])
    finally:
        for layer, momentum in zip(normalisations, momenta, strict=True):
            layer.momentum = momentum
    for layer, mean, square in zip(
        normalisations, zip(*means, strict=True), zip(*squares, strict=True), strict=True
    ):
        mean = np.mean(mean, axis=0)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(np.mean(square, axis=0) - mean**2, 0.0))
