"""Random distortions of training knees.

The paper only flips knees left to right (section 4). `strong` adds the differences between films of
one knee: position of the leg, distance of the film, exposure.
"""

from dataclasses import dataclass

import cv2
import numpy as np

ROTATION = 10.0
"""The largest rotation in degrees, to either side."""

SHIFT = 0.06
"""The largest shift as a part of the height and of the width, in either direction."""

ZOOM = 0.10
"""The largest part by which a knee is enlarged or shrunk."""

GAMMA = 1.25
"""The largest exponent of the grey values; the smallest is its inverse."""

CONTRAST = 0.15
"""The largest part by which the contrast around the middle grey rises or falls."""

BRIGHTNESS = 15.0
"""The largest number of grey values, of 255, that is added or subtracted."""


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
    """

    angles: np.ndarray
    scales: np.ndarray
    shifts: np.ndarray
    gammas: np.ndarray
    contrasts: np.ndarray
    brightnesses: np.ndarray

    @classmethod
    def draw(cls, count: int, generator: np.random.Generator) -> "Distortions":
        """Draw distortions of `count` knees, uniformly within the limits above."""

        def within(limit: float, *shape: int) -> np.ndarray:
            return generator.uniform(-limit, limit, (count, *shape))

        return cls(
            angles=within(ROTATION),
            scales=1 + within(ZOOM),
            shifts=within(SHIFT, 2),
            gammas=GAMMA ** within(1),
            contrasts=1 + within(CONTRAST),
            brightnesses=within(BRIGHTNESS),
        )

    def apply(self, knee: np.ndarray, position: int) -> np.ndarray:
        """Distort a knee.

        Args:
            knee: `(height, width)` uint8, after equalisation.
            position: the knee's index in its split.
        """
        return cv2.LUT(self.move(knee, position), self._grey_table(position))

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
