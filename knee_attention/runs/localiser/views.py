"""What the localiser learns from: views of images, varied, and what its maps should say of them."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from knee_attention.films.joints import CELL, UNIT_SIDE, Box
from knee_attention.films.localiser import localiser_input
from knee_attention.limits import LOCALISER_SIDE
from knee_attention.runs.localiser.films import LearningFilms
from knee_attention.runs.localiser.scenes import VARIED, scene_of
from knee_attention.runs.localiser.variation import varied
from knee_attention.runs.localiser.windows import Scene

AHEAD = 6
"""Batches that are drawn before they are asked for."""

PEAK = 0.12
"""The deviation of the peak that the map of joints has, in parts of the box's side."""

SMALLEST_PEAK = 4.0
"""Pixels of that deviation at least: half a cell."""


@dataclass(frozen=True)
class LocaliserViews:
    """Batches of images and targets, each of which follows from the seed and its number alone.

    Attributes:
        films: those that are shown.
        batch_size: images a batch.
        seed: decides which parts of which films are shown, and how they are varied.
    """

    films: LearningFilms
    batch_size: int
    seed: int

    def batches(self, first: int, stop: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches from one number up to another, drawn ahead in threads."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            begun = [pool.submit(self.batch, n) for n in range(first, min(first + AHEAD, stop))]
            for number in range(first, stop):
                batch = begun.pop(0).result()
                if number + AHEAD < stop:
                    begun.append(pool.submit(self.batch, number + AHEAD))
                yield batch

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Images 0-255 `(batch, 256, 256, 2)` and targets `(batch, 32, 32, 8)`, float32."""
        rng = np.random.default_rng((self.seed, number))
        views = [view_of(scene_of(self.films, rng), rng) for _ in range(self.batch_size)]
        images, targets = (np.stack(part) for part in zip(*views, strict=True))
        return images.astype(np.float32), targets


def view_of(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A scene as the localiser takes it, and what its maps should say.

    Returns:
        `(256, 256, 2)` uint8, and `(32, 32, 8)` float32, the `TARGETS` of `networks/localiser.py`.
    """
    image = varied(scene.image, rng) if rng.random() < VARIED else scene.image
    square, scale, border = localiser_input(image, scene.reach)

    def placed(box: Box) -> Box:
        return tuple(value * scale + shift for value, shift in zip(box, (*border, 0, 0),
                                                                   strict=True))

    return square, targets_of(
        [placed(box) for box in scene.joints],
        [placed(box) for box in scene.unsure],
        [placed(box) for box in scene.implants],
        scene.implant_somewhere,
    )


def targets_of(
    joints: Sequence[Box], unsure: Sequence[Box] = (), implants: Sequence[Box] = (),
    implant_somewhere: bool = False,
) -> np.ndarray:
    """What the maps should say, `(32, 32, 8)` float32; boxes are in pixels of the 256x256 input.

    Args:
        joints: the joint boxes that are to be found.
        unsure: boxes of joints of which it does not matter whether they are found.
        implants: rectangles around metal.
        implant_somewhere: whether the image shows an implant at an unknown place; then nobody knows
            where its joints are either.
    """
    cells = LOCALISER_SIDE // CELL
    targets = np.zeros((cells, cells, 8), np.float32)
    down, right = ((np.mgrid[:cells, :cells] + 0.5) * CELL).astype(np.float32)
    targets[..., 1] = targets[..., 6] = 1
    for left, top, width, height in unsure:
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


