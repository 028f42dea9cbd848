"""Random distortions of training knees.

The paper only flips knees left to right (section 4). `strong` and `wide` add differences between
films: position of the leg, distance of the film, exposure and processing.
"""

from dataclasses import dataclass

import cv2
import numpy as np


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
        blur: the largest standard deviation of a Gaussian blur as a part of the width. Half of the
            knees are not blurred.
    """

    rotation: float
    shift: float
    zoom: tuple[float, float]
    gamma: float
    contrast: float
    brightness: float
    blur: float = 0.0


LIMITS = {
    "strong": Limits(10, 0.06, (0.9, 1.1), 1.25, 0.15, 15),
    "wide": Limits(10, 0.12, (0.8, 1.25), 1.6, 0.3, 25, 0.012),
}
"""The augmentations that distort. `strong` has the differences between films of one knee in one
hospital; `wide` those between hospitals: other framing, exposure, processing and sharpness."""


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
    """

    angles: np.ndarray
    scales: np.ndarray
    shifts: np.ndarray
    gammas: np.ndarray
    contrasts: np.ndarray
    brightnesses: np.ndarray
    blurs: np.ndarray

    @classmethod
    def draw(
        cls, count: int, generator: np.random.Generator, augment: str = "strong"
    ) -> "Distortions":
        """Draw distortions of `count` knees, uniformly within `LIMITS[augment]`."""
        limits = LIMITS[augment]

        def within(limit: float, *shape: int) -> np.ndarray:
            return generator.uniform(-limit, limit, (count, *shape))

        return cls(
            angles=within(limits.rotation),
            scales=generator.uniform(*limits.zoom, count),
            shifts=within(limits.shift, 2),
            gammas=limits.gamma ** within(1),
            contrasts=1 + within(limits.contrast),
            brightnesses=within(limits.brightness),
            blurs=np.maximum(within(limits.blur), 0),
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
        return cv2.LUT(moved, self._grey_table(position))

    def move(self, image: np.ndarray, position: int) -> np.ndarray:
        """Rotate, zoom and shift an image; beyond its border it is reflected.

        Args:
            image: `(height, width)` uint8: a knee, or its mask.
            position: the knee's index in its split.
        """
        height, width = image.shape
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(centre, self.angles[position], self.scales[position])
        matrix[:, 2] += self.shifts[position] * (width, height)
        reflected = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
        return cv2.warpAffine(image, matrix, (width, height), **reflected)

    def _grey_table(self, position: int) -> np.ndarray:
        grey = 255 * np.linspace(0, 1, 256) ** self.gammas[position]
        grey = (grey - 127.5) * self.contrasts[position] + 127.5 + self.brightnesses[position]
        return np.rint(grey).clip(0, 255).astype(np.uint8)
