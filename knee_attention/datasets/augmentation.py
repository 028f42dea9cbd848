"""What training does to a knee so that the network cannot learn it by heart.

Flipping left and right is the paper's (section 4). `strong` adds what differs between films of one
knee: how the leg lay, how far the film was away, how it was exposed.
"""

from dataclasses import dataclass

import cv2
import numpy as np

ROTATION = 10.0
"""Degrees, at most, to either side."""

SHIFT = 0.06
"""Part of the height and of the width, at most, in either direction."""

ZOOM = 0.10
"""Part by which a knee grows or shrinks, at most."""

GAMMA = 1.25
"""Largest exponent of the grey values; the smallest is its inverse."""

CONTRAST = 0.15
"""Part by which grey values spread or shrink around the middle grey, at most."""

BRIGHTNESS = 15.0
"""Grey values of 255, at most, added or taken away."""


@dataclass(frozen=True)
class Distortions:
    """How each knee of a split is changed in one epoch.

    Attributes:
        angles: `(n,)` degrees, counter-clockwise.
        scales: `(n,)` factors of size.
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
        """One of each for `count` knees, evenly spread within the limits above."""

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
        """A knee `(height, width)` uint8, after equalisation, as this epoch shows it."""
        return cv2.LUT(self.move(knee, position), self._grey_table(position))

    def move(self, image: np.ndarray, position: int) -> np.ndarray:
        """Turned, zoomed and shifted; what comes in from outside is the image's reflection.

        Args:
            image: `(height, width)` uint8: a knee, or a mask that has to stay over it.
            position: the knee's place in its split.
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
