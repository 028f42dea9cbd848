"""Corruptions of a knee: fixed ones to measure a model's robustness, random ones to train it.

A corruption stands for a fault of the film (blur, noise, exposure, compression) or of the crop
(width, angle). It is applied at the network's input size, before histogram equalisation, because
such faults arise before the software sees the film. Knees that were equalised when they were cut
are corrupted afterwards.

The method is that of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", ICLR 2019 (ImageNet-C, five severities, 224x224 pixels).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import cv2
import numpy as np

from knee_attention.films.legs import id_and_side
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out, resize_knee, to_uint8

BLUR = 2 / 224
"""Standard deviation of the Gaussian blur as a part of the width: 2 of 224 pixels, ImageNet-C's
severity 2."""

FILM_NOISE, NOISE = 0.02, 0.08
"""Standard deviations of Gaussian noise as parts of the grey range. The larger is ImageNet-C's
severity 1; the smaller is four times the usual noise of the public set's crops (median 0.0046)."""

GAMMA = 1.6
"""Exponent that darkens the grey values; its inverse brightens them. It is the largest gamma of
the augmentation `wide`."""

RESOLUTION = 0.5
"""Rows and columns that are kept: ImageNet-C's severity 2 of its pixelation."""

JPEG_QUALITY = 30
"""Slightly better than the 25 of ImageNet-C's severity 1."""

WIDER, NARROWER = 1.15, 0.85
"""Side of the crop relative to the correct side. The augmentation `strong` varies it by 10%."""

ANGLE = 10
"""Degrees of rotation to either side: the largest of the augmentations."""


MOST_NOISE, MOST_BLUR, LEAST_QUALITY = 0.12, 0.015, 20
"""Limits of `corrupted`: standard deviation of the noise as a part of the grey range, standard
deviation of the blur as a part of the width, and quality of the JPEG compression. Each lies beyond
the strength that is measured."""

SCALES, MOST_ANGLE, MOST_SHIFT = (0.85, 1.2), 10, 0.03
"""Limits of `moved`: factors of size, degrees of rotation, and shift as a part of a side. The crops
that are too wide and too narrow have factors of 0.87 and 1.18."""

MOST_ABOVE, MOST_BELOW = 0.4, 0.35
"""Limits of `cut_off`: parts of a knee's height that the film may lack."""


def blur(knee: np.ndarray) -> np.ndarray:
    """A knee, `(height, width)` uint8, out of focus by `BLUR`."""
    return cv2.GaussianBlur(knee, None, BLUR * knee.shape[1])


def noise(knee: np.ndarray, seed: int, deviation: float) -> np.ndarray:
    """A knee, `(height, width)` uint8, with Gaussian noise, a part of the grey range."""
    grain = np.random.default_rng(seed).normal(0, 255 * deviation, knee.shape)
    return np.rint(knee + grain).clip(0, 255).astype(np.uint8)


def gamma(knee: np.ndarray, exponent: float) -> np.ndarray:
    """A knee, `(height, width)` uint8, with its grey values in 0-1 raised to an exponent."""
    table = np.rint(255 * np.linspace(0, 1, 256) ** exponent).astype(np.uint8)
    return cv2.LUT(knee, table)


def low_resolution(knee: np.ndarray) -> np.ndarray:
    """A knee, `(height, width)` uint8, shrunk to `RESOLUTION` and enlarged again."""
    small = cv2.resize(knee, None, fx=RESOLUTION, fy=RESOLUTION, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, knee.shape[::-1], interpolation=cv2.INTER_LINEAR)


def jpeg(knee: np.ndarray, quality: int) -> np.ndarray:
    """A knee, `(height, width)` uint8, after JPEG compression of a quality from 1 to 100."""
    _, stored = cv2.imencode(".jpg", knee, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE)


def transform(
    knee: np.ndarray, scale: float = 1, angle: float = 0, shift: Sequence[float] = (0, 0)
) -> np.ndarray:
    """A knee scaled and rotated around its middle, then shifted. Beyond its border it is reflected.

    Args:
        knee: `(height, width)` uint8.
        scale: factor of size.
        angle: degrees, counter-clockwise.
        shift: parts of the width (to the right) and of the height (downwards).
    """
    height, width = knee.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += np.multiply(shift, (width, height))
    return cv2.warpAffine(knee, matrix, (width, height), flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REFLECT_101)  # fmt: skip


def moved(knee: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A knee, `(height, width)` uint8, at a random size, angle and place."""
    return transform(knee, generator.uniform(*SCALES), generator.uniform(-MOST_ANGLE, MOST_ANGLE),
                     generator.uniform(-MOST_SHIFT, MOST_SHIFT, 2))  # fmt: skip


def cut_off(knee: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A knee, `(height, width)` uint8, whose film ends somewhere above and below the joint."""
    height, width = knee.shape
    first = round(height * generator.uniform(0, MOST_ABOVE))
    after = height - round(height * generator.uniform(0, MOST_BELOW))
    return cut_out(knee[first:after], (0, -first, width, height))


def corrupted(knee: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A knee, `(height, width)` uint8, with a random strength of noise, blur or JPEG compression.

    Half of the knees get noise, a fifth are blurred and a tenth are compressed; the rest stay as
    they are.
    """
    kind, strength = generator.random(), generator.random()
    if kind < 0.5:
        return noise(knee, generator.integers(2**32), MOST_NOISE * strength)
    if kind < 0.7:
        deviation = max(MOST_BLUR * strength * knee.shape[1], 0.01)  # OpenCV takes 0 as unknown
        return cv2.GaussianBlur(knee, None, deviation)
    if kind < 0.8:
        return jpeg(knee, round(100 - (100 - LEAST_QUALITY) * strength))
    return knee


CORRUPTIONS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "blur, 2 of 224 pixels": lambda knee, seed: blur(knee),
    "noise, 2% of the grey range": lambda knee, seed: noise(knee, seed, FILM_NOISE),
    "noise, 8% of the grey range": lambda knee, seed: noise(knee, seed, NOISE),
    "darker, gamma 1.6": lambda knee, seed: gamma(knee, GAMMA),
    "brighter, gamma 1/1.6": lambda knee, seed: gamma(knee, 1 / GAMMA),
    "half the resolution": lambda knee, seed: low_resolution(knee),
    "JPEG of quality 30": lambda knee, seed: jpeg(knee, JPEG_QUALITY),
    "crop 15% too wide": lambda knee, seed: transform(knee, 1 / WIDER),
    "crop 15% too narrow": lambda knee, seed: transform(knee, 1 / NARROWER),
    "rotated by 10 degrees to the left": lambda knee, seed: transform(knee, angle=ANGLE),
    "rotated by 10 degrees to the right": lambda knee, seed: transform(knee, angle=-ANGLE),
}
"""Functions of a knee, `(height, width)` uint8, and a seed, by their names in the results."""


@dataclass(frozen=True)
class CorruptedPreparation(Preparation):
    """A preparation that corrupts each knee before its histogram is equalised.

    Attributes:
        corruption: a name in `CORRUPTIONS`; None changes nothing.

    Example:
        >>> darker = CorruptedPreparation(**vars(Preparation()), corruption="darker, gamma 1.6")
        >>> darker.equalization, darker.corruption
        ('hist', 'darker, gamma 1.6')
    """

    corruption: str | None = None

    def knee(
        self, knee: np.ndarray, size: tuple[int, int], file: str | os.PathLike = ""
    ) -> np.ndarray:
        """As `Preparation.knee`. The id and the side in the file's name seed the noise."""
        if self.corruption:
            seed = crc32(os.fsencode("_".join(filter(None, id_and_side(file)))))
            knee = resize_knee(to_uint8(knee), size, self.fit)
            knee = CORRUPTIONS[self.corruption](knee, seed)
        return super().knee(knee, size, file)
