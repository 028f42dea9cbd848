"""Stability training: the same features of a corrupted knee as of the clean one.

A network below its attention branches is trained so that its features of a corrupted crop come
close to those that it had of the clean crop before. The branches stay as they are, and grades are
not needed. Features depend on their surroundings alone, so crops do, which cost less than knees.

Knees are corrupted before their histogram is equalised, as films are. The augmentations of
`datasets/batches.py` add their noise afterwards, and equal noise then looks different: a film's is
weak in dark surroundings, and white bone is not clipped.

The method is that of Zheng et al., "Improving the Robustness of Deep Neural Networks via Stability
Training", CVPR 2016, which compares outputs in place of features.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from knee_attention import device
from knee_attention.datasets.batches import LIMITS
from knee_attention.datasets.knees import Knees
from knee_attention.films.corruption import NOISE, jpeg, noise
from knee_attention.films.radiograph import equalize
from knee_attention.networks.taps import TappedNetwork
from knee_attention.runs.training import ADAM_BETAS

ROUND, BATCH, LEARNING_RATE = 50, 16, 1e-4
"""Steps after which the state is saved, crops per step, and the initial learning rate of Adam."""

MOST_NOISE = 1.5 * NOISE
"""The largest standard deviation of the noise as a part of the grey range."""


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
        clean, corrupted = (np.stack(views)[..., np.newaxis] for views in zip(*crops, strict=True))
        return corrupted, self.features(clean)

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
    limits = LIMITS["harsh"]
    if kind < 0.75:
        deviation = max(strength * limits.blur * knee.shape[1], 0.01)  # 0 would choose one itself
        return cv2.GaussianBlur(knee, None, deviation)
    return jpeg(knee, round(100 - (100 - limits.jpeg) * strength))


class RelativeError(keras.losses.Loss):
    """The squared error of features, divided by their variance in the batch."""

    def call(self, wanted, features):
        wanted, features = ops.cast(wanted, "float32"), ops.cast(features, "float32")
        return ops.mean(ops.square(wanted - features)) / ops.var(wanted)


def stabilise(
    model: keras.Model,
    knees: Knees,
    equalization: str,
    size: tuple[int, int],
    state: Path,
    rounds: int,
    seed: int = 0,
) -> None:
    """Train the layers below a model's branches to bear corruptions. A killed call is resumed.

    The learning rate falls to zero along half a cosine. Batch normalisation below the branches
    keeps its statistics.

    Args:
        model: a model with attention branches; changed in place.
        knees: training knees of the model's image size whose histograms are not equalised.
        equalization: how they are equalised then.
        size: height and width of the crops in pixels.
        state: the folder of the saved state.
        rounds: number of rounds of `ROUND` steps.
        seed: decides about knees, places and corruptions.
    """
    below = TappedNetwork(model).below
    before, after = (_for_crops(below, size) for _ in range(2))
    for layer in after.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, rounds * ROUND)
    after.compile(
        keras.optimizers.Adam(schedule, *ADAM_BETAS),
        loss=dict.fromkeys(after.output, RelativeError()),
        jit_compile=device.choose_jit_compile(),
    )
    crops = CorruptedCrops(knees, equalization, size, before.predict_on_batch, seed)
    after.fit(crops, epochs=rounds, shuffle=False, verbose=0, callbacks=[
        keras.callbacks.BackupAndRestore(state, double_checkpoint=True, delete_checkpoint=False),
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: crops.start(epoch)),
        ShownRounds(rounds),
    ])  # fmt: skip
    below.set_weights(after.get_weights())


def _for_crops(network: keras.Model, size: tuple[int, int]) -> keras.Model:
    """A copy of a network for images of another size."""
    copy = keras.models.clone_model(network, input_tensors=keras.Input((*size, 1)))
    copy.set_weights(network.get_weights())
    copy.jit_compile = device.choose_jit_compile()  # Keras' choice is slow on a CPU
    return copy


class ShownRounds(keras.callbacks.Callback):
    """Keras callback that shows the progress of stability training."""

    def __init__(self, rounds: int):
        super().__init__()
        self.rounds = rounds

    def on_train_begin(self, logs=None):
        self.bar = tqdm(total=self.rounds * ROUND, desc="stability training", unit="step",
                        disable=None)  # fmt: skip

    def on_epoch_begin(self, epoch, logs=None):
        self.bar.n = epoch * ROUND

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        tqdm.write(f"stability training, round {epoch + 1} of {self.rounds}: squared error of the "
                   f"features of corrupted crops {logs['loss']:.3f} of their variance")

    def on_train_end(self, logs=None):
        self.bar.close()
