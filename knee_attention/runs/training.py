"""Compile and fit, as in section 4 of the paper."""

import math
import sys

import keras

from knee_attention.datasets.batches import KneeBatches
from knee_attention.kl import GRADES, REGRESSION
from knee_attention.runs.batch_statistics import PreciseBatchNorm
from knee_attention.runs.checkpoint import Checkpoint
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.parallel import common_statistics
from knee_attention.runs.run_folder import RunFolder

MONITOR = "val_loss"
PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.1, 2
STOPPING_PATIENCE = 3
ADAM_BETAS = (0.9, 0.999)
MEAN_LOSS = "mean_loss"
"""What an output's loss is called as a metric."""


def compile_model(
    model: keras.Model,
    loss_weights: dict[str, float],
    learning_rate: float,
    jit_compile: bool,
    devices: int = 1,
) -> None:
    """Adam, and one categorical cross-entropy for each output; of a regression the squared error.

    Args:
        model: compiled in place; its output is a dict.
        loss_weights: output name -> weight of its loss.
        learning_rate: of Adam.
        jit_compile: whether XLA compiles the training step.
        devices: number of devices that share each batch, whose knees then have weights.
    """
    losses = dict.fromkeys(loss_weights, keras.losses.SparseCategoricalCrossentropy)
    metrics = {
        name: [
            keras.metrics.SparseCategoricalAccuracy("accuracy"),
            keras.metrics.SparseCategoricalCrossentropy(MEAN_LOSS),
        ]
        for name in loss_weights
    }
    if REGRESSION in loss_weights:
        losses[REGRESSION] = keras.losses.MeanSquaredError
        metrics[REGRESSION] = [
            keras.metrics.MeanMetricWrapper(rounds_to, "accuracy"),
            keras.metrics.MeanSquaredError(MEAN_LOSS),
        ]
    reduction = "sum_over_batch_size" if devices == 1 else "mean_with_sample_weight"
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, *ADAM_BETAS),
        loss={name: kind(reduction=reduction) for name, kind in losses.items()},
        loss_weights=dict(loss_weights),
        jit_compile=jit_compile,
        **{"metrics" if devices == 1 else "weighted_metrics": metrics},
    )


def rounds_to(grades, values):
    """Whether a regression's values `(batch, 1)`, rounded and kept from 0 to 4, are the true grades
    `(batch,)`.
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
    """Fit a compiled model until validation loss stops falling; its best weights are put back.

    The learning rate falls to a tenth after 2 epochs without a better validation loss, training
    ends after 3 (section 4), or the experiment's `patience` times as many. With the schedule
    `cosine` the rate falls from its first value to nothing over its `epochs`, whatever the loss
    does. What lies in the run's folder from a killed training is continued.

    Args:
        model: compiled with one loss for each output.
        training: shuffled batches.
        validation: batches in order.
        experiment: says how many epochs, with what patience and schedule, and whether batch
            statistics are estimated anew before each validation.
        run: its folder receives the state and the history after each epoch.
        tensorboard: also write what TensorBoard shows; a continued training adds to it.

    Returns:
        one dict an epoch: its number, seconds, learning rate, and every loss and accuracy.
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
    callbacks.append(checkpoint)
    if experiment.batch_norm == "precise":
        callbacks.insert(0, PreciseBatchNorm(training))
    done = len(checkpoint.rows)
    if done:
        print(f"continuing after epoch {done}")
    with common_statistics(model, training.devices):
        model.fit(
            training,
            validation_data=validation,
            initial_epoch=epochs if checkpoint.finished else done,
            epochs=epochs,
            callbacks=callbacks,
            shuffle=False,  # the batches shuffle themselves, by epoch and seed
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return checkpoint.rows


def cosine_schedule(model: keras.Model, epochs: int) -> keras.callbacks.LearningRateScheduler:
    """A callback that lets the rate fall along half a cosine, from its present value to nothing.

    The rate of an epoch follows from its number alone, so a resumed training has the rates of an
    unbroken one. Call this before a checkpoint puts another rate into the model.
    """
    first = float(model.optimizer.learning_rate)
    return keras.callbacks.LearningRateScheduler(
        lambda epoch: first * (1 + math.cos(math.pi * epoch / epochs)) / 2
    )


class NamedLogs(keras.callbacks.Callback):
    """Loss and accuracy of every output by its name, also where there is only one, over all knees.

    Keras takes an output's loss for the mean over batches, as if the last, smaller one were whole;
    the same loss that it measures as a metric is the mean over knees.

    Args:
        outputs: names of the model's outputs.
        loss_weights: of the outputs, where knees have weights, which Keras leaves out of account
            in the mean of the whole loss; it is then put together anew.
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
