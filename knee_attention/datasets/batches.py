"""Batches of knees for Keras, and random distortions of training knees.

The paper only flips knees left to right (section 4). `strong` and `wide` add differences between
films: position of the leg, distance of the film, exposure and processing.
"""

from dataclasses import dataclass
from math import ceil, gcd

import cv2
import keras
import numpy as np

from knee_attention.datasets.knees import Knees
from knee_attention.films.corruption import jpeg, noise, transform

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
        augment: `"flips"`, or a name in `LIMITS` (`"strong"`, `"wide"`) to also distort each knee
            by `Distortions`.
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
        images, grades = self.augmented_images(positions), self.knees.grades[positions]
        return images[..., np.newaxis], dict.fromkeys(self.outputs, grades)

    def augmented_images(self, positions: np.ndarray) -> np.ndarray:
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


@dataclass(frozen=True)
class Limits:
    """The largest distortions of an augmentation.

    Attributes:
        rotation: degrees, to either side.
        shift: part of the height and of the width, in either direction.
        zoom: the smallest and the largest factor of size.
        gamma: the largest exponent of the grey values; the smallest is its inverse.
        contrast: the largest part by which the contrast around the middle grey rises or falls.
        brightness: the largest number of grey values, of 255, that is added or subtracted.
        blur: the largest standard deviation of a Gaussian blur as a part of the width.
        noise: the largest standard deviation of Gaussian noise as a part of the grey range.
        jpeg: the lowest quality of a JPEG compression; 100 compresses no knee.
    """

    rotation: float
    shift: float
    zoom: tuple[float, float]
    gamma: float
    contrast: float
    brightness: float
    blur: float = 0.0
    noise: float = 0.0
    jpeg: int = 100


LIMITS = {
    "strong": Limits(10, 0.06, (0.9, 1.1), 1.25, 0.15, 15),
    "wide": Limits(10, 0.12, (0.8, 1.25), 1.6, 0.3, 25, 0.015, 0.18, 20),
}
"""The augmentations that distort. `strong` has the differences between films of one knee in one
hospital; `wide` those between hospitals: other framing, exposure, processing, sharpness, noise and
compression. `wide` adds noise after equalisation, so its limit is 18%, which equals 8% of a film's
grey range before it (median of 60 training crops of the public set)."""


CORRUPTED = 0.25
"""Share of the knees that are blurred, that get noise, and that are compressed. Each of the three
is drawn independently."""


@dataclass(frozen=True)
class Distortions:
    """The distortion of each knee of a split in one epoch.

    Attributes:
        angles: `(n,)` degrees, counter-clockwise.
        scales: `(n,)` zoom factors.
        shifts: `(n, 2)` parts of the width (to the right) and of the height (downwards).
        gammas: `(n,)` exponents of the grey values in 0-1; above 1 darkens.
        contrasts: `(n,)` factors of the distance to middle grey.
        brightnesses: `(n,)` grey values added.
        blurs: `(n,)` standard deviations of a Gaussian blur, parts of the width; 0 for none.
        noises: `(n,)` standard deviations of Gaussian noise, parts of the grey range; 0 for none.
        qualities: `(n,)` qualities of a JPEG compression, 1 to 100; 100 for none.
        seeds: `(n,)` seeds of the noise.
    """

    angles: np.ndarray
    scales: np.ndarray
    shifts: np.ndarray
    gammas: np.ndarray
    contrasts: np.ndarray
    brightnesses: np.ndarray
    blurs: np.ndarray
    noises: np.ndarray
    qualities: np.ndarray
    seeds: np.ndarray

    @classmethod
    def draw(
        cls, count: int, generator: np.random.Generator, augment: str = "strong"
    ) -> "Distortions":
        """Draw distortions of `count` knees, uniformly within `LIMITS[augment]`."""
        limits = LIMITS[augment]

        def within(limit: float, *shape: int) -> np.ndarray:
            return generator.uniform(-limit, limit, (count, *shape))

        def for_some(limit: float) -> np.ndarray:
            return generator.uniform(0, limit, count) * (generator.random(count) < CORRUPTED)

        return cls(
            angles=within(limits.rotation),
            scales=generator.uniform(*limits.zoom, count),
            shifts=within(limits.shift, 2),
            gammas=limits.gamma ** within(1),
            contrasts=1 + within(limits.contrast),
            brightnesses=within(limits.brightness),
            blurs=for_some(limits.blur),
            noises=for_some(limits.noise),
            qualities=np.rint(100 - for_some(100 - limits.jpeg)).astype(int),
            seeds=generator.integers(2**32, size=count),
        )

    def apply(self, knee: np.ndarray, position: int) -> np.ndarray:
        """Distort a knee.

        Args:
            knee: `(height, width)` uint8, after equalisation.
            position: the knee's index in its split.
        """
        moved = self.move(knee, position)
        if self.blurs[position]:
            moved = cv2.GaussianBlur(moved, None, self.blurs[position] * knee.shape[1])
        if self.noises[position]:
            moved = noise(moved, self.seeds[position], self.noises[position])
        moved = cv2.LUT(moved, self._grey_table(position))
        quality = self.qualities[position]
        return moved if quality == 100 else jpeg(moved, quality)

    def move(self, image: np.ndarray, position: int) -> np.ndarray:
        """Rotate, zoom and shift an image; beyond its border it is reflected.

        Args:
            image: `(height, width)` uint8: a knee, or its mask.
            position: the knee's index in its split.
        """
        return transform(
            image, self.scales[position], self.angles[position], self.shifts[position]
        )

    def _grey_table(self, position: int) -> np.ndarray:
        grey = 255 * np.linspace(0, 1, 256) ** self.gammas[position]
        grey = (grey - 127.5) * self.contrasts[position] + 127.5 + self.brightnesses[position]
        return np.rint(grey).clip(0, 255).astype(np.uint8)
