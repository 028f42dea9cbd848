"""Training batches of the localiser: augmented scenes and their target maps."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from knee_attention.films.joints import CELL, UNIT_SIDE, Box
from knee_attention.films.localiser import localiser_input
from knee_attention.limits import LOCALISER_SIDE
from knee_attention.runs.localiser.films import LocaliserImages
from knee_attention.runs.localiser.scenes import VARIED, Scene, scene_of
from knee_attention.runs.localiser.variation import varied

AHEAD = 6
"""Number of batches that are prepared in advance."""

PEAK = 0.12
"""Standard deviation of a joint's Gaussian peak in the target map, in units of the box's side."""

SMALLEST_PEAK = 4.0
"""Smallest standard deviation of a peak in pixels: half a cell."""


@dataclass(frozen=True)
class LocaliserViews:
    """Batches of images and targets. A batch depends only on the seed and its number.

    Attributes:
        films: the images of a split.
        batch_size: images per batch.
        seed: seed of the scenes and their augmentation.
    """

    films: LocaliserImages
    batch_size: int
    seed: int

    def batches(self, first: int, stop: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches from number `first` to `stop - 1`, prepared in advance in threads."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pending = [pool.submit(self.batch, n) for n in range(first, min(first + AHEAD, stop))]
            for number in range(first, stop):
                batch = pending.pop(0).result()
                if number + AHEAD < stop:
                    pending.append(pool.submit(self.batch, number + AHEAD))
                yield batch

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Images 0-255 `(batch, 256, 256, 2)` and targets `(batch, 32, 32, 8)`, float32."""
        rng = np.random.default_rng((self.seed, number))
        views = [view_of(scene_of(self.films, rng), rng) for _ in range(self.batch_size)]
        images, targets = (np.stack(part) for part in zip(*views, strict=True))
        return images.astype(np.float32), targets


def view_of(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The input and the targets of a scene.

    Returns:
        input `(256, 256, 2)` uint8, and targets `(32, 32, 8)` float32; see `network.TARGETS`.
    """
    image = varied(scene.image, rng) if rng.random() < VARIED else scene.image
    square, scale, border = localiser_input(image, scene.reach)

    def placed(box: Box) -> Box:
        return tuple(value * scale + shift for value, shift in zip(box, (*border, 0, 0),
                                                                   strict=True))

    return square, targets_of(
        [placed(box) for box in scene.joints],
        [placed(box) for box in scene.ignored],
        [placed(box) for box in scene.implants],
        scene.implant_somewhere,
    )


def targets_of(
    joints: Sequence[Box], ignored: Sequence[Box] = (), implants: Sequence[Box] = (),
    implant_somewhere: bool = False,
) -> np.ndarray:
    """The targets `(32, 32, 8)` float32. Boxes are in pixels of the 256x256 input.

    Args:
        joints: joint boxes that should be found.
        ignored: joint boxes that are ignored in the loss.
        implants: bounding boxes of metal.
        implant_somewhere: whether there is an implant at an unknown position. The positions of the
            joints are then unknown too.
    """
    cells = LOCALISER_SIDE // CELL
    targets = np.zeros((cells, cells, 8), np.float32)
    down, right = ((np.mgrid[:cells, :cells] + 0.5) * CELL).astype(np.float32)
    targets[..., 1] = targets[..., 6] = 1
    for left, top, width, height in ignored:
        inside = (abs(right - left - width / 2) < width / 2) & (
            abs(down - top - height / 2) < height / 2)
        targets[inside, 1] = 0
    for box in joints:
        side = box[2]
        x, y = box[0] + side / 2, box[1] + box[3] / 2
        apart = (right - x) ** 2 + (down - y) ** 2
        peak = np.exp(-apart / (2 * max(PEAK * side, SMALLEST_PEAK) ** 2))
        peak.flat[apart.argmin()] = 1
        nearer = peak > targets[..., 0]
        targets[nearer, 0], targets[nearer, 1] = peak[nearer], 1
        targets[nearer, 2] = (x - right[nearer]) / side
        targets[nearer, 3] = (y - down[nearer]) / side
        targets[nearer, 4] = np.log(side / UNIT_SIDE)
    for left, top, width, height in implants:
        apart = np.maximum(abs(right - left - width / 2) - width / 2,
                           abs(down - top - height / 2) - height / 2)
        targets[apart < CELL / 2, 5] = 1
        targets[(apart >= CELL / 2) & (apart < 2 * CELL), 6] = 0
    targets[..., 7] = len(implants) > 0 or implant_somewhere
    if implant_somewhere:
        targets[..., 1] = targets[..., 6] = 0
    return targets
