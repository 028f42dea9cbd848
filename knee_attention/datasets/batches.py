"""Knees in batches, as Keras takes them."""

from math import ceil

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

    Yields:
        `(batch, height, width, 1)` uint8 and `{output: (batch,) int64}`.
    """

    def __init__(
        self,
        knees: Knees,
        outputs: list[str],
        batch_size: int = EVALUATION_BATCH,
        training: bool = False,
        seed: int = 0,
        augment: str = "flips",
    ):
        super().__init__()
        self.knees = knees
        self.outputs = outputs
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.augment = augment
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
