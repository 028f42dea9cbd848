"""Windows of films: the part that a training scene of the localiser shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from knee_attention.films.joints import Box, core_seen
from knee_attention.limits import LOCALISER_SIDE
from knee_attention.runs.localiser.films import KnownFilm

MOST_TURN = 15.0
"""Largest rotation of a scene in degrees."""

HIDDEN, SURE = 0.4, 0.8
"""Visible share of a joint's core. From `SURE` on, the joint should be found; below `HIDDEN`, it
should not; between them, it is ignored in the loss."""

SMALLEST_BOX, LARGEST_BOX = 26, 200
"""Range of a joint box's side in pixels of the input. Joints of other sizes are ignored in the
loss: a film is processed at two scales, and one of them shows the joint in this range."""


@dataclass(frozen=True)
class Scene:
    """An image with its boxes, in pixels of the image.

    Attributes:
        image: `(height, width)` uint8, bone bright.
        joints: joint boxes that should be found.
        unsure: joint boxes that are ignored in the loss.
        implants: bounding boxes of metal.
        implant_somewhere: whether there is an implant at an unknown position.
        reach: ratio of the localiser input's side to the longer side of the image.
    """

    image: np.ndarray
    joints: Sequence[Box] = ()
    unsure: Sequence[Box] = ()
    implants: Sequence[Box] = ()
    implant_somewhere: bool = False
    reach: float = 1.0


def window_of(film: KnownFilm, kind: str, rng) -> Box:
    """A random window of a film for a kind of scene, in pixels. It may extend beyond the film."""
    height, width = film.image.shape
    x, y, side, _ = film.boxes[rng.integers(len(film.boxes))]
    middle, line = x + side / 2, y + side / 2
    if kind == "film":
        parts = rng.uniform(-0.05, 0.35, 4) * (rng.random(4) < 0.6)
        left, right = min(parts[0] * width, x), max((1 - parts[2]) * width, x + side)
        top, bottom = min(parts[1] * height, y), max((1 - parts[3]) * height, y + side)
        return left, top, right - left, bottom - top
    if kind == "shaft":
        tall, wide = rng.uniform(0.7, 1.8) * side, rng.uniform(0.9, 2.6) * side
        tops = [top for _, top, _, _ in film.boxes]
        above = min(tops) + 0.3 * side - tall
        top = above if rng.random() < 0.5 and above > -0.5 * tall else max(tops) + 0.9 * side
        return middle - rng.uniform(0.3, 0.7) * wide, top, wide, tall
    wide = float(np.exp(rng.uniform(np.log(0.9), np.log(3.5)))) * side
    tall = max(wide * float(np.exp(rng.uniform(np.log(0.55), np.log(2.2)))), 0.55 * side)
    spare = max(wide - 0.8 * side, 0), max(tall - 0.7 * side, 0)
    left = middle - wide / 2 + rng.uniform(-0.5, 0.5) * spare[0]
    return left, line - tall / 2 + rng.uniform(-0.5, 0.5) * spare[1], wide, tall


def cut_window(film: KnownFilm, window: Box, rng, reach: float) -> Scene:
    """The scene of a window, slightly rotated and stretched, with the film's joint boxes."""
    left, top, wide, tall = window
    stretch = float(np.exp(rng.normal(0, 0.03)))
    scale = LOCALISER_SIDE / reach / max(wide * stretch, tall)
    width, height = (max(24, round(s * scale)) for s in (wide * stretch, tall))
    turn = np.radians(np.clip(rng.normal(0, 5), -MOST_TURN, MOST_TURN))
    flip = -1 if rng.random() < 0.5 else 1
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    linear = np.array([[cos * flip * stretch, -sin * stretch], [sin * flip, cos]])
    middle = np.array([left + wide / 2, top + tall / 2])
    shift = np.array([width / 2, height / 2]) - linear @ middle

    source, factor = film.at(scale)
    dark = float(np.percentile(source[::8, ::8], rng.choice([0, 1, 10])))
    mode = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    image = cv2.warpAffine(source, np.column_stack([linear / factor, shift]), (width, height),
                           flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=dark)
    joints, unsure = [], []
    for x, y, side, _ in film.boxes:
        centre = linear @ (x + side / 2, y + side / 2) + shift
        size = side * scale * np.sqrt(stretch)
        box = (centre[0] - size / 2, centre[1] - size / 2, size, size)
        seen = core_seen(box, (height, width))
        if seen >= HIDDEN:
            sure = seen >= SURE and SMALLEST_BOX <= size <= LARGEST_BOX
            (joints if sure else unsure).append(box)
    return Scene(image, joints, unsure, reach=reach)
