"""Compile and fit, as in section 4 of the paper."""

import math

import keras
import numpy as np

from knee_attention.datasets.batches import KneeBatches
from knee_attention.device import common_statistics
from knee_attention.limits import GRADES, REGRESSION
from knee_attention.runs.batch_statistics import PreciseBatchNorm
from knee_attention.runs.checkpoint import Checkpoint
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.progress import Progress
from knee_attention.runs.run_folder import RunFolder

MONITOR = "val_loss"
PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.1, 2
STOPPING_PATIENCE = 3
ADAM_BETAS = (0.9, 0.999)
MEAN_LOSS = "mean_loss"
"""Name of the metric that measures an output's loss."""


DEVIATION = 0.5
"""Standard deviation in grades of the targets `gaussian`. A grade between two others has 79% and
each of its neighbours 11%."""


class NeighbouringGrades(keras.losses.Loss):
    """Cross-entropy with Gaussian soft labels, so that a near miss costs less.

    The method is that of Diaz and Marathe, "Soft Labels for Ordinal Regression", CVPR 2019, with
    the square of the distance.
    """

    def call(self, grades, probabilities):
        near = np.exp(-np.square(np.subtract.outer(GRADES, GRADES) / DEVIATION) / 2)
        targets = (near / near.sum(axis=1, keepdims=True)).astype("float32")
        rows = keras.ops.cast(keras.ops.reshape(grades, (-1,)), "int32")
        return keras.losses.categorical_crossentropy(
            keras.ops.take(targets, rows, axis=0), probabilities
        )


def compile_model(
    model: keras.Model,
    loss_weights: dict[str, float],
    learning_rate: float,
    jit_compile: bool,
    devices: int = 1,
    targets: str = "grades",
) -> None:
    """Compile a model with Adam, and categorical cross-entropy or, for a regression, squared error.

    Args:
        model: compiled in place; its output is a dict.
        loss_weights: `{output: weight of its loss}`.
        learning_rate: learning rate of Adam.
        jit_compile: whether XLA compiles the training step.
        devices: number of devices that share each batch. With several, knees have sample weights.
        targets: `grades`, or `gaussian` for `NeighbouringGrades` in place of cross-entropy.
    """
    of_grades = {
        "grades": keras.losses.SparseCategoricalCrossentropy, "gaussian": NeighbouringGrades
    }  # fmt: skip
    losses = dict.fromkeys(loss_weights, of_grades[targets])
    if REGRESSION in loss_weights:
        losses[REGRESSION] = keras.losses.MeanSquaredError
    metrics = {
        name: [
            keras.metrics.MeanMetricWrapper(rounds_to, "accuracy") if name == REGRESSION
            else keras.metrics.SparseCategoricalAccuracy("accuracy"),
            keras.metrics.MeanMetricWrapper(kind(reduction=None), MEAN_LOSS),
        ]
        for name, kind in losses.items()
    }  # fmt: skip
    reduction = "sum_over_batch_size" if devices == 1 else "mean_with_sample_weight"
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, *ADAM_BETAS),
        loss={name: kind(reduction=reduction) for name, kind in losses.items()},
        loss_weights=dict(loss_weights),
        jit_compile=jit_compile,
        **{"metrics" if devices == 1 else "weighted_metrics": metrics},
    )


def rounds_to(grades, values):
    """Accuracy of a regression: whether its rounded values, clipped to 0-4, are the true grades.

    Args:
        grades: `(batch,)` true grades.
        values: `(batch, 1)` regressed grades.

    Returns:
        `(batch,)` bool.
    """
    rounded = keras.ops.clip(keras.ops.round(values[:, 0]), GRADES[0], GRADES[-1])
    return keras.ops.equal(keras.ops.cast(grades, rounded.dtype), rounded)


def train(
    model: keras.Model,
    training: KneeBatches,
    validation: KneeBatches,
    experiment: Experiment,
    run: RunFolder,
    tensorboard: bool = False,
) -> list[dict]:
    """Fit a compiled model until the validation loss stops falling, and restore its best weights.

    Without a better validation loss, the learning rate falls to a tenth after 2 epochs, and the
    training stops after 3 (section 4); `patience` multiplies both. With the schedule `cosine` the
    rate falls to zero over `epochs` instead. A killed training in the run's folder is resumed.

    Args:
        model: compiled by `compile_model`.
        training: shuffled batches.
        validation: batches in order.
        experiment: gives the epochs, patience, schedule, and the kind of batch normalisation.
        run: the run's folder, which gets the state and the history after each epoch.
        tensorboard: also write logs for TensorBoard. A resumed training adds to them.

    Returns:
        one dict per epoch: its number, seconds, learning rate, and all losses and accuracies.
    """
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor=MONITOR, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE * experiment.patience
    )
    stopping = keras.callbacks.EarlyStopping(
        monitor=MONITOR, patience=STOPPING_PATIENCE * experiment.patience, restore_best_weights=True
    )
    epochs = experiment.epochs
    rate = cosine_schedule(model, epochs) if experiment.schedule == "cosine" else plateau
    checkpoint = Checkpoint(run.checkpoint, run.history, plateau, stopping)
    checkpoint.restore(model)
    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: training.start(epoch)),
        NamedLogs(training.outputs, experiment.output_weights if training.devices > 1 else None),
        rate,
        stopping,
    ]
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(run.tensorboard, write_graph=False))
    done = len(checkpoint.rows)
    progress = Progress(epochs, done)
    callbacks += [ShownProgress(progress, training.outputs), checkpoint]
    if experiment.batch_norm == "precise":
        callbacks.insert(0, PreciseBatchNorm(training))
    if done:
        print(f"resuming after epoch {done}")
    with common_statistics(model, training.devices), progress.shown():
        model.fit(
            training,
            validation_data=validation,
            initial_epoch=epochs if checkpoint.finished else done,
            epochs=epochs,
            callbacks=callbacks,
            shuffle=False,  # `KneeBatches` shuffles by epoch and seed
            verbose=0,  # Keras would print each loss twice, and no time for the whole training
        )
    return checkpoint.rows


def cosine_schedule(model: keras.Model, epochs: int) -> keras.callbacks.LearningRateScheduler:
    """A callback that lowers the learning rate along half a cosine, from its current value to zero.

    The rate depends only on the epoch's number, so a resumed training has the same rates. Call this
    before a checkpoint restores another rate.
    """
    first = float(model.optimizer.learning_rate)
    return keras.callbacks.LearningRateScheduler(
        lambda epoch: first * (1 + math.cos(math.pi * epoch / epochs)) / 2
    )


class NamedLogs(keras.callbacks.Callback):
    """Keras callback that logs `<output>_loss` and `<output>_accuracy` as means over all knees.

    Keras averages the loss over batches, which overweights a smaller last batch; the metric is the
    mean over knees. Keras also omits the output's name if there is only one output.

    Args:
        outputs: names of the model's outputs.
        loss_weights: weights of the losses, if knees have sample weights. Keras ignores sample
            weights in the mean of the total loss, so the total is computed from the outputs.
    """

    def __init__(self, outputs: list[str], loss_weights: dict[str, float] | None = None):
        super().__init__()
        self.outputs = outputs
        self.loss_weights = loss_weights

    def on_epoch_end(self, epoch, logs=None):
        several = len(self.outputs) > 1
        for prefix in ("", "val_"):
            for output in self.outputs:
                given = f"{prefix}{output}_" if several else prefix
                logs[f"{prefix}{output}_accuracy"] = logs.pop(f"{given}accuracy")
                logs[f"{prefix}{output}_loss"] = logs.pop(f"{given}{MEAN_LOSS}")
            if self.loss_weights:
                logs[f"{prefix}loss"] = sum(
                    weight * logs[f"{prefix}{output}_loss"]
                    for output, weight in self.loss_weights.items()
                )


class ShownProgress(keras.callbacks.Callback):
    """Keras callback that shows the progress, with the losses and accuracies of `NamedLogs`.

    Args:
        progress: the progress of the training.
        outputs: names of the model's outputs.
    """

    def __init__(self, progress: Progress, outputs: list[str]):
        super().__init__()
        self.progress = progress
        self.outputs = outputs

    def on_epoch_begin(self, epoch, logs=None):
        self.progress.begin_epoch(self.params["steps"])

    def on_train_batch_end(self, batch, logs=None):
        self.progress.end_step(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.progress.end_epoch(
            f"loss {logs['loss']:.4f}, accuracy {self._accuracies(logs, '')}; "
            f"validation loss {logs['val_loss']:.4f}, accuracy {self._accuracies(logs, 'val_')}; "
            f"learning rate {logs['learning_rate']:.2g}"
        )

    def _accuracies(self, logs: dict, prefix: str) -> str:
        """`0.512`, or `att0 0.512 att1 0.498` if there are several outputs."""
        shown = {output: f"{logs[f'{prefix}{output}_accuracy']:.3f}" for output in self.outputs}
        if len(shown) == 1:
            return shown[self.outputs[0]]
        return " ".join(f"{output} {accuracy}" for output, accuracy in shown.items())
