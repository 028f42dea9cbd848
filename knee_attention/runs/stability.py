"""Stability training: the same features of a corrupted knee as of the clean one.

A network below its attention branches is trained so that its features of a corrupted crop come
close to those that it had of the clean crop before. The branches stay as they are, and grades are
not needed. A feature depends only on the pixels around it, so crops are enough, and they cost less
than whole knees.

Knees are corrupted before their histogram is equalised, because a film is noisy before the software
sees it. Knees that were equalised when they were cut are corrupted afterwards. The augmentations of
`datasets/batches.py` always add noise afterwards. That noise clips white bone and is as strong in
dark soft tissue as in bone; the noise of a film is weaker there.

The method is that of Zheng et al., "Improving the Robustness of Deep Neural Networks via Stability
Training", CVPR 2016, which compares outputs in place of features.
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
from knee_attention.films.corruption import jpeg, noise
from knee_attention.films.radiograph import equalize
from knee_attention.networks.taps import TappedNetwork
from knee_attention.runs.checkpoint import (
    read_arrays,
    read_optimizer,
    state_opened,
    state_written,
    write_arrays,
)
from knee_attention.runs.training import ADAM_BETAS

ROUND, BATCH, LEARNING_RATE = 50, 16, 1e-4
"""Steps after which the state is saved, crops per step, and the initial learning rate of Adam."""

MOST_NOISE, MOST_BLUR, LEAST_QUALITY = 0.12, 0.02, 20
"""Limits of the corruptions: standard deviation of the noise as a part of the grey range, standard
deviation of the blur as a part of the width, and quality of the JPEG compression. Each lies beyond
the strength that `films/corruption.py` measures."""


class CorruptedCrops(keras.utils.PyDataset):
    """Batches of corrupted crops, and the features that they should have.

    Half of the crops get noise, a quarter are blurred and a quarter are compressed, each with a
    random strength. Half are mirrored. A step depends only on the seed, its round and its number.

    Args:
        knees: knees whose histograms are not equalised.
        equalization: how they are equalised then, one of `limits.EQUALIZATIONS`.
        size: height and width of the crops in pixels.
        features: function from clean crops, `(batch, height, width, 1)` uint8, to what a network
            should compute of the corrupted ones.
        seed: decides about knees, places and corruptions.

    Yields:
        `(batch, height, width, 1)` uint8 and the value of `features`.
    """

    def __init__(
        self,
        knees: Knees,
        equalization: str,
        size: tuple[int, int],
        features: Callable[[np.ndarray], dict],
        seed: int,
    ):
        super().__init__()
        self.knees = knees
        self.equalization = equalization
        self.size = size
        self.features = features
        self.seed = seed
        self.round = 0

    def __len__(self):
        return ROUND

    def start(self, number: int) -> None:
        """Begin a round, whose steps differ from those of the others."""
        self.round = number

    def __getitem__(self, index):
        generator = np.random.default_rng((self.seed, self.round, index))
        crops = [self._crops(place, generator)
                 for place in generator.integers(len(self.knees), size=BATCH)]
        clean, changed = (np.stack(views)[..., np.newaxis] for views in zip(*crops, strict=True))
        return changed, self.features(clean)

    def _crops(
        self, place: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same crop of a knee clean and corrupted, each `(height, width)` uint8."""
        knee = self.knees.images[place]
        if generator.random() < 0.5:
            knee = np.ascontiguousarray(knee[:, ::-1])
        top, left = (generator.integers(whole - side + 1)
                     for whole, side in zip(knee.shape, self.size, strict=True))  # fmt: skip
        crop = np.s_[top : top + self.size[0], left : left + self.size[1]]
        views = knee, corrupted(knee, generator)
        clean, changed = (equalize(view, self.equalization)[crop] for view in views)
        return clean, changed


def corrupted(knee: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A knee, `(height, width)` uint8, with noise, out of focus, or compressed as a JPEG."""
    kind, strength = generator.random(), generator.random()
    if kind < 0.5:
        return noise(knee, generator.integers(2**32), MOST_NOISE * strength)
    if kind < 0.75:
        deviation = max(MOST_BLUR * strength * knee.shape[1], 0.01)  # OpenCV takes 0 as unknown
        return cv2.GaussianBlur(knee, None, deviation)
    return jpeg(knee, round(100 - (100 - LEAST_QUALITY) * strength))


class RelativeError(keras.losses.Loss):
    """The squared error of features, divided by their variance in the batch."""

    def call(self, wanted, features):
        return ops.mean(ops.square(wanted - features)) / (ops.var(wanted) + keras.config.epsilon())


def stabilise(
    model: keras.Model,
    knees: Knees,
    equalization: str,
    size: tuple[int, int],
    state: Path,
    rounds: int,
    seed: int = 0,
) -> None:
    """Train the layers below a model's branches to compute the same features of corrupted knees.

    A killed call is resumed.

    The learning rate falls to zero along half a cosine. Batch normalisation below the branches
    keeps its statistics.

    Args:
        model: a model with attention branches; changed in place.
        knees: training knees of the model's image size whose histograms are not equalised.
        equalization: how they are equalised then.
        size: height and width of the crops in pixels.
        state: the file of the saved state.
        rounds: number of rounds of `ROUND` steps.
        seed: decides about knees, places and corruptions.

    Raises:
        InputError: the saved state cannot be used, or the loss is not finite.
    """
    below = TappedNetwork(model).below
    before, after = (_for_crops(below, size) for _ in range(2))
    for layer in after.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(LEARNING_RATE, rounds * ROUND), *ADAM_BETAS
    )
    if any(layer.dtype_policy.name == "mixed_float16" for layer in after.layers):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    after.compile(
        optimizer,
        loss=dict.fromkeys(after.output, RelativeError()),
        jit_compile=device.choose_jit_compile(),
    )
    crops = CorruptedCrops(knees, equalization, size, before.predict_on_batch, seed)
    shown = Rounds(rounds, state, len(after.output))
    after.fit(crops, initial_epoch=shown.restore(after), epochs=rounds, shuffle=False, verbose=0,
              callbacks=[
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: crops.start(epoch)),
        shown,
    ])  # fmt: skip
    below.set_weights(after.get_weights())


def _for_crops(network: keras.Model, size: tuple[int, int]) -> keras.Model:
    """A copy of a network for images of another size."""
    copy = keras.models.clone_model(network, input_tensors=keras.Input((*size, 1)))
    copy.set_weights(network.get_weights())
    copy.jit_compile = device.choose_jit_compile()  # Keras' choice is slow on a CPU
    return copy


class Rounds(keras.callbacks.Callback):
    """Keras callback that shows the progress of stability training and saves its state.

    Args:
        rounds: number of rounds of the whole training.
        path: file of the state.
        taps: number of outputs, over which the shown error is averaged.
    """

    def __init__(self, rounds: int, path: Path, taps: int):
        super().__init__()
        self.rounds = rounds
        self.path = path
        self.taps = taps
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
        tqdm.write(f"stability training, round {epoch + 1} of {self.rounds}: squared error of the "
                   f"features {logs['loss'] / self.taps:.3f} of their variance",
                   file=sys.stdout)  # fmt: skip
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
