"""Batches of knees for Keras."""

from math import ceil, gcd

import keras
import numpy as np

from knee_attention.datasets.augmentation import LIMITS, Distortions
from knee_attention.datasets.knees import Knees

EVALUATION_BATCH = 32
"""Knees per batch in evaluation. It is chosen for speed and independent of the training's."""


class KneeBatches(keras.utils.PyDataset):
    """Batches of knees and their grades.

    Order, flips and distortions of an epoch depend only on the seed and the epoch's number. So a
    resumed training sees the same batches as an uninterrupted one.

    Args:
        knees: the knees of a split.
        outputs: names of the model's outputs; each gets the same grades.
        batch_size: number of knees per batch; the last batch may be smaller.
        training: shuffle, and flip half of the knees left to right.
        seed: seed of the order, the flips and the distortions.
        augment: `"flips"`, or `"strong"` to also distort each knee as in `augmentation`.
        devices: number of devices that share each batch.

    Yields:
        `(batch, height, width, 1)` uint8 and `{output: (batch,) int64}`; for several devices also
        the knees' weights, `(batch,)` float32. A batch that cannot be divided evenly among the
        devices repeats all of its knees, with correspondingly lower weights. Its means and batch
        statistics stay the same.
    """

    def __init__(
        self,
        knees: Knees,
        outputs: list[str],
        batch_size: int = EVALUATION_BATCH,
        training: bool = False,
        seed: int = 0,
        augment: str = "flips",
        devices: int = 1,
    ):
        super().__init__()
        self.knees = knees
        self.outputs = outputs
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.augment = augment
        self.devices = devices
        self.start(0)

    def start(self, epoch: int) -> None:
        """Draw the order, the flips and the distortions of an epoch."""
        self.order = np.arange(len(self.knees))
        self.flipped = np.zeros(len(self.knees), bool)
        self.distortions = None
        if self.training:
            generator = np.random.default_rng((self.seed, epoch))
            self.order = generator.permutation(len(self.knees))
            self.flipped = generator.random(len(self.knees)) < 0.5
            if self.augment in LIMITS:
                self.distortions = Distortions.draw(len(self.knees), generator, self.augment)

    def __len__(self):
        return ceil(len(self.knees) / self.batch_size)

    def __getitem__(self, index):
        positions = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        if self.devices == 1:
            return self._batch(positions)
        times = self.devices // gcd(self.devices, len(positions))
        positions = np.tile(positions, times)
        return *self._batch(positions), np.full(len(positions), 1 / times, np.float32)

    def _batch(self, positions: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        grades = self.knees.grades[positions]
        return self.seen(positions)[..., np.newaxis], dict.fromkeys(self.outputs, grades)

    def seen(self, positions: np.ndarray) -> np.ndarray:
        """The knees at these positions of the split, flipped and distorted for the epoch.

        Returns:
            `(n, height, width)` uint8.
        """
        images = self.knees.images[positions]
        flipped = self.flipped[positions]
        images[flipped] = images[flipped, :, ::-1]
        if self.distortions:
            for image, position in zip(images, positions, strict=True):
                image[:] = self.distortions.apply(image, position)
        return images
