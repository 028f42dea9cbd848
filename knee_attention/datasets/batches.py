"""Knees in batches, as Keras takes them."""

from math import ceil, gcd

import keras
import numpy as np

from knee_attention.datasets.augmentation import Distortions
from knee_attention.datasets.knees import Knees

EVALUATION_BATCH = 32
"""Knees a batch where nothing is learnt: what is fast, whatever the training takes."""


class KneeBatches(keras.utils.PyDataset):
    """Batches of knees and their grades.

    Order, flips and distortions of an epoch follow from the seed and the epoch's number alone, so
    that a resumed training sees what an unbroken one would have seen.

    Args:
        knees: the knees of a split.
        outputs: names of the model's outputs; each gets the same grades.
        batch_size: number of knees a batch; the last may be smaller.
        training: shuffle, and flip half of the knees left to right.
        seed: decides everything drawn.
        augment: `flips`, or `strong`: also distort each knee as `augmentation.py` says.
        devices: number of devices that share each batch.

    Yields:
        `(batch, height, width, 1)` uint8 and `{output: (batch,) int64}`; for several devices also
        the knees' weights, `(batch,)` float32. A batch that cannot be shared evenly holds all of
        its knees several times, each time by so much less weight: its means, batch statistics
        included, are as they were, and no knee is invented or left out.
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
        """Take the order, the flips and the distortions of an epoch."""
        self.order = np.arange(len(self.knees))
        self.flipped = np.zeros(len(self.knees), bool)
        self.distortions = None
        if self.training:
            generator = np.random.default_rng((self.seed, epoch))
            self.order = generator.permutation(len(self.knees))
            self.flipped = generator.random(len(self.knees)) < 0.5
            if self.augment == "strong":
                self.distortions = Distortions.draw(len(self.knees), generator)

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
        """The knees at these places of the split as the epoch shows them, `(n, height, width)`."""
        images = self.knees.images[positions]
        flipped = self.flipped[positions]
        images[flipped] = images[flipped, :, ::-1]
        if self.distortions:
            for image, position in zip(images, positions, strict=True):
                image[:] = self.distortions.apply(image, position)
        return images
