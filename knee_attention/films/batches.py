"""Knees in batches, as Keras takes them."""

import keras
import numpy as np

from knee_attention.films.dataset import Knees

EVALUATION_BATCH = 32
"""Knees a batch where nothing is learnt: what is fast, whatever the training takes."""


class KneeBatches(keras.utils.PyDataset):
    """Batches of knees and their grades.

    Order and flips of an epoch follow from the seed and the epoch's number alone, so that a
    resumed training sees what an unbroken one would have seen.

    Args:
        knees: the knees of a split.
        outputs: names of the model's outputs; each gets the same grades.
        batch_size: number of knees a batch; the last may be smaller.
        training: shuffle, and flip half of the knees left to right.
        seed: decides order and flips.

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
    ):
        super().__init__()
        self.knees = knees
        self.outputs = outputs
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.start(0)

    def start(self, epoch: int) -> None:
        """Take the order and the flips of an epoch."""
        self.order = np.arange(len(self.knees))
        self.flipped = np.zeros(len(self.knees), bool)
        if self.training:
            generator = np.random.default_rng((self.seed, epoch))
            self.order = generator.permutation(len(self.knees))
            self.flipped = generator.random(len(self.knees)) < 0.5

    def __len__(self):
        return -(-len(self.knees) // self.batch_size)

    def __getitem__(self, index):
        positions = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self.knees.images[positions]
        flipped = self.flipped[positions]
        images[flipped] = images[flipped, :, ::-1]
        grades = self.knees.grades[positions]
        return images[..., np.newaxis], dict.fromkeys(self.outputs, grades)
