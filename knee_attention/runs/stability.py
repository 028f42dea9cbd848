"""Stability training: the same grade of a corrupted knee as of the clean one.

A teacher, usually the network before this training, grades clean knees and their mirror images.
The network learns to give a corrupted knee the mean of these probabilities. Unless the knee was
moved, it also learns the teacher's features of the clean knee at its taps. True grades are not
needed.

Knees are corrupted before their histogram is equalised, because a film is noisy before the software
sees it. Knees that were equalised when they were cut are corrupted afterwards. The augmentations of
`datasets/batches.py` always add noise afterwards. That noise clips white bone and is as strong in
dark soft tissue as in bone; the noise of a film is weaker there.

The method is that of Zheng et al., "Improving the Robustness of Deep Neural Networks via Stability
Training", CVPR 2016, which compares outputs only.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from knee_attention import device
from knee_attention.datasets.knees import Knees
from knee_attention.errors import InputError
from knee_attention.films.corruption import corrupted, cut_off, moved
from knee_attention.films.radiograph import equalize
from knee_attention.networks.taps import TappedNetwork, for_prediction
from knee_attention.runs.checkpoint import (
    read_arrays,
    read_optimizer,
    state_opened,
    state_written,
    write_arrays,
)
from knee_attention.runs.training import ADAM_BETAS

ROUND, BATCH, LEARNING_RATE = 50, 6, 1e-4
"""Steps after which the state is saved, knees per step, and the initial learning rate of Adam."""

MOST_CONTRAST = 3
"""Largest clip limit of the adaptive equalisation (CLAHE, 8x8 tiles) that gives more contrast."""

FEATURES = "_features"
"""What is added to the name of a branch to name the features at its tap."""


class CorruptedKnees(keras.utils.PyDataset):
    """Batches of corrupted knees, and the values that a network should have of them.

    Half of the knees are mirrored, a third are cut off above and below the joint, and a third get
    more contrast, because films of other hospitals often look like that. The network should grade
    such knees as the teacher does, so they count as clean. Then a quarter of the knees are moved,
    and the others go through `corrupted`, which leaves some of them clean, so that clean knees keep
    their grades. A step depends only on the seed, its round and its number.

    Args:
        knees: knees whose histograms are not equalised.
        equalization: how they are equalised then, one of `limits.EQUALIZATIONS`.
        values: function from clean knees, `(batch, height, width, 1)` uint8, to the outputs and
            features, by name, that a network should have of the corrupted ones.
        seed: decides about knees and corruptions.

    Yields:
        `(batch, height, width, 1)` uint8, the result of `values`, and the weights `(batch,)` of
        each value: 0 for the features of moved knees, otherwise 1.
    """

    def __init__(
        self,
        knees: Knees,
        equalization: str,
        values: Callable[[np.ndarray], dict],
        seed: int,
    ):
        super().__init__()
        self.knees = knees
        self.equalization = equalization
        self.values = values
        self.seed = seed
        self.round = 0

    def __len__(self):
        return ROUND

    def start(self, number: int) -> None:
        """Begin a round, whose steps differ from those of the others."""
        self.round = number

    def __getitem__(self, index):
        generator = np.random.default_rng((self.seed, self.round, index))
        clean, changed, moves = zip(*(self._knee(place, generator) for place in
                                      generator.integers(len(self.knees), size=BATCH)),
                                    strict=True)  # fmt: skip
        wanted = self.values(np.stack(clean)[..., np.newaxis])
        comparable = 1 - np.array(moves, np.float32)
        weights = {name: comparable if name.endswith(FEATURES) else np.ones_like(comparable)
                   for name in wanted}  # fmt: skip
        return np.stack(changed)[..., np.newaxis], wanted, weights

    def _knee(
        self, place: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """A knee clean and corrupted, each `(height, width)` uint8, and whether it was moved."""
        knee = self.knees.images[place]
        mirrors, cuts, sharpens = generator.random(3) < (1 / 2, 1 / 3, 1 / 3)
        if mirrors:
            knee = np.ascontiguousarray(knee[:, ::-1])
        if cuts:
            knee = cut_off(knee, generator)
        if sharpens:
            limit = max(MOST_CONTRAST * generator.random(), 0.01)  # OpenCV takes 0 as no limit
            knee = cv2.createCLAHE(limit, (8, 8)).apply(knee)
        moves = generator.random() < 1 / 4
        changed = moved(knee, generator) if moves else corrupted(knee, generator)
        clean, changed = (equalize(view, self.equalization) for view in (knee, changed))
        return clean, changed, moves


class RelativeError(keras.losses.Loss):
    """The squared error of each knee's features, divided by their variance in the batch."""

    def call(self, wanted, features):
        squares = ops.square(wanted - features)
        return ops.mean(squares, axis=(1, 2, 3)) / (ops.var(wanted) + keras.config.epsilon())


def stabilise(
    model: keras.Model,
    knees: Knees,
    equalization: str,
    state: Path,
    rounds: int,
    seed: int = 0,
    teacher: keras.Model | None = None,
) -> None:
    """Train a model with attention branches to grade corrupted knees like clean ones.

    A killed call is resumed.

    The loss of an output is the Kullback-Leibler divergence from the probabilities of `targets_of`,
    that of a tap the `RelativeError` of its features; all have the same weight. The
    learning rate falls to zero along half a cosine. Batch normalisation keeps its statistics and
    weights.

    Args:
        model: the model; changed in place.
        knees: training knees of the model's image size whose histograms are not equalised.
        equalization: how they are equalised then.
        state: the file of the saved state.
        rounds: number of rounds of `ROUND` steps.
        seed: decides about knees and corruptions.
        teacher: a model of the same architecture; None for the model as it is before.

    Raises:
        InputError: the saved state cannot be used, or the loss is not finite.
    """
    teacher, after = _with_features(teacher or model), _with_features(model)
    for layer in after.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(LEARNING_RATE, rounds * ROUND), *ADAM_BETAS
    )
    if any(layer.dtype_policy.name == "mixed_float16" for layer in after.layers):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    after.compile(
        optimizer,
        loss={name: RelativeError() if name.endswith(FEATURES) else keras.losses.KLDivergence()
              for name in after.output},
        jit_compile=device.choose_jit_compile(),
    )  # fmt: skip
    batches = CorruptedKnees(knees, equalization, targets_of(teacher), seed)
    shown = Rounds(rounds, state)
    after.fit(batches, initial_epoch=shown.restore(after), epochs=rounds, shuffle=False, verbose=0,
              callbacks=[
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.start(epoch)),
        shown,
    ])  # fmt: skip
    model.set_weights(after.get_weights())


def targets_of(teacher: keras.Model) -> Callable[[np.ndarray], dict]:
    """A function from clean knees to the values that a network should have of them.

    These are the teacher's features, and the mean of its probabilities of each knee and its mirror
    image.
    """

    def values(knees: np.ndarray) -> dict:
        found, mirrored = map(teacher.predict_on_batch, (knees, knees[:, :, ::-1]))
        return {name: value if name.endswith(FEATURES) else (value + mirrored[name]) / 2
                for name, value in found.items()}  # fmt: skip

    return values


def _with_features(model: keras.Model) -> keras.Model:
    """A copy of a model that also puts out the features at its taps."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    features = {branch + FEATURES: tensor for branch, tensor in TappedNetwork(copy).taps.items()}
    return for_prediction(copy.input, {**copy.output, **features})


class Rounds(keras.callbacks.Callback):
    """Keras callback that shows the progress of stability training and saves its state.

    Args:
        rounds: number of rounds of the whole training.
        path: file of the state.
    """

    def __init__(self, rounds: int, path: Path):
        super().__init__()
        self.rounds = rounds
        self.path = path
        self.seconds = seconds_trained(path)

    def restore(self, model: keras.Model) -> int:
        """Restore the saved state of a compiled model, if there is one; returns its round.

        Raises:
            InputError: the file is damaged or belongs to another model.
        """
        if not self.path.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        with state_opened(self.path) as file:
            model.set_weights(read_arrays(file["weights"]))
            read_optimizer(file["optimizer"], model.optimizer)
            return int(file.attrs["round"])

    def on_train_begin(self, logs=None):
        self.bar = tqdm(total=self.rounds * ROUND, desc="stability training", unit="step",
                        disable=None)  # fmt: skip

    def on_epoch_begin(self, epoch, logs=None):
        self.bar.n, self._began = epoch * ROUND, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.perf_counter() - self._began
        if not math.isfinite(logs["loss"]):
            raise InputError(f"stability training, round {epoch + 1}: the loss is not finite; try "
                             "--precision float32")
        with state_written(self.path) as file:
            file.attrs.update({"round": epoch + 1, "seconds": self.seconds})
            write_arrays(file, "weights", self.model.get_weights())
            variables = self.model.optimizer.variables
            write_arrays(file, "optimizer", map(ops.convert_to_numpy, variables))
        tqdm.write(f"stability training, round {epoch + 1} of {self.rounds}: "
                   f"loss {logs['loss']:.3f}", file=sys.stdout)  # fmt: skip
        sys.stdout.flush()

    def on_train_end(self, logs=None):
        self.bar.close()


def seconds_trained(state: Path) -> float:
    """Seconds that the rounds of a saved stability training took; 0 without one.

    Raises:
        InputError: the file is damaged.
    """
    if not state.exists():
        return 0.0
    with state_opened(state) as file:
        return float(file.attrs["seconds"])
