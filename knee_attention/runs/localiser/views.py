"""What the localiser learns from: parts of films, varied, and the bands along their joint lines."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from knee_attention.films.joints import Box, line_of
from knee_attention.films.localiser import AFAR, localiser_input
from knee_attention.options import LOCALISER_SIDE
from knee_attention.phantoms.strangers import STRANGERS, stranger
from knee_attention.phantoms.variation import smooth_noise, varied

KINDS = {"film": 0.3, "half": 0.24, "band": 0.13, "crop": 0.1, "leg": 0.04, "turned": 0.07,
         "shaft": 0.04, "stranger": 0.08}  # fmt: skip
"""What an image of training shows, and how often: a whole film, a half, a close band of one joint,
a crop seen from afar, a film with one leg; and without a joint to be found, a film that is turned
or upside down, thigh or calf alone, something else."""

AHEAD = 6
"""Batches that are drawn before they are asked for."""

FINE = 0.6
"""Shrunk by more than this, a film is first shrunk by area to half its size: fine grain would
otherwise become a pattern that no film shows."""


@dataclass(frozen=True)
class BoxedFilm:
    """A film whose joints are known.

    Attributes:
        image: `(height, width)` uint8, bone bright.
        boxes: `{"R" and "L": joint box}`, or one of them, in pixels.
        name: what it is called.
        half_size: the image at half its size.
    """

    image: np.ndarray
    boxes: dict[str, Box]
    name: str
    half_size: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, boxes: dict[str, Box], name: str) -> "BoxedFilm":
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return cls(image, boxes, name, half)

    @property
    def side(self) -> float:
        """The mean side of its boxes, which stands for about 120 mm."""
        return float(np.mean([size for box in self.boxes.values() for size in box[2:]]))


@dataclass(frozen=True)
class LocaliserViews:
    """Batches of images and maps, each of which follows from the seed and its number alone.

    Attributes:
        films: those that are shown.
        batch_size: images a batch.
        seed: decides which parts of which films are shown, and how they are varied.
    """

    films: list[BoxedFilm]
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
        """Images 0-255 and their maps, 0 or 1, each `(batch, 256, 256, 1)` float32."""
        rng = np.random.default_rng((self.seed, number))
        views = [self.view(rng) for _ in range(self.batch_size)]
        images, maps = (np.stack(part)[..., np.newaxis] for part in zip(*views, strict=True))
        return images.astype(np.float32), maps.astype(np.float32)

    def view(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One image as `localiser_input` gives it, and its map: `(256, 256)` uint8, 0 or 1."""
        kind = rng.choice(list(KINDS), p=list(KINDS.values()))
        if kind == "stranger":
            size = tuple(int(side) for side in rng.integers(160, 257, 2))
            image = stranger(rng.choice(list(STRANGERS)), size, rng)
            square = localiser_input(varied(image, rng), rng.choice([1.0, rng.uniform(1, 3)]))[0]
            return square, np.zeros_like(square)
        film = self.films[rng.integers(len(self.films))]
        return film_view(film, str(kind), rng)


def film_view(
    film: BoxedFilm, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A part of a film of some kind, varied: `(256, 256)` uint8, and its map, 0 or 1."""
    hidden = str(rng.choice(list(film.boxes))) if kind == "leg" and len(film.boxes) > 1 else None
    shown = str(rng.choice(["film", "half"])) if kind == "turned" else kind
    window = _window(film, shown, rng)
    flip = rng.random() < 0.5
    image, place = _cut(film, window, hidden, flip, rng)
    if kind == "turned":
        image = np.ascontiguousarray(np.rot90(image, rng.integers(1, 4)))
    image = varied(image, rng)
    reach = AFAR * rng.uniform(0.8, 1.2) if kind == "crop" else 1.0
    square, scale, border = localiser_input(image, reach)
    lines = np.zeros_like(square)
    if kind in ("turned", "shaft"):
        return square, lines
    for side, box in film.boxes.items():
        if side == hidden:
            continue
        x, y, width, height = line_of(place(box))
        corners = np.array([(x, y), (x + width, y + height)]) * scale + border
        (left, top), (right, bottom) = np.round(corners).astype(int).clip(0, LOCALISER_SIDE)
        lines[top:bottom, left:right] = 1
    height, width = (round(side * scale) for side in image.shape)
    inside = np.zeros_like(lines)
    inside[border[1] : border[1] + height, border[0] : border[0] + width] = 1
    return square, lines * inside


def _window(film: BoxedFilm, kind: str, rng) -> Box:
    """The part of a film to show, in pixels; it may reach beyond the film."""
    height, width = film.image.shape
    side = film.side
    x, y, across, down = film.boxes[str(rng.choice(list(film.boxes)))]
    middle, line = x + across / 2, y + down / 2
    if kind in ("film", "leg"):
        cut = rng.uniform(-0.06, 0.06, 4) * (width, height, width, height)
        cut[[1, 3]] += rng.uniform(0, 0.8, 2) * side * (rng.random(2) < 0.4)
        low, high = _joints_span(film, 0.75)
        top, bottom = min(cut[1], low), max(height - cut[3], high)
        return cut[0], top, width - cut[2] - cut[0], bottom - top
    if kind == "half":
        centres = sorted(box[0] + box[2] / 2 for box in film.boxes.values())
        cut = np.mean(centres) if len(centres) > 1 else width / 2
        cut += rng.normal(0, 0.08) * side
        outer = rng.uniform(-0.25, 0.3) * side
        left, right = (outer, cut) if middle < cut else (cut, width - outer)
        top, bottom = rng.uniform(-0.2, 0.5) * side, height - rng.uniform(-0.2, 0.5) * side
        return left, min(top, y), right - left, max(bottom, y + down) - min(top, y)
    if kind == "shaft":
        tall = rng.uniform(0.7, 1.6) * side
        wide = rng.uniform(0.9, 2.6) * side
        low, high = _joints_span(film, 0.32)
        above = low - tall if rng.random() < 0.5 and low > 0.8 * side else high
        return middle - rng.uniform(0.3, 0.7) * wide, above, wide, tall
    wide = (rng.uniform(0.85, 1.5) if kind == "crop" else rng.uniform(1.2, 2.2)) * side
    tall = wide * float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    tall = max(tall, 0.7 * side)
    centre = middle + rng.uniform(-0.15, 0.15) * wide, line + rng.uniform(-0.18, 0.18) * tall
    return centre[0] - wide / 2, centre[1] - tall / 2, wide, tall


def _joints_span(film: BoxedFilm, reach: float) -> tuple[float, float]:
    """Rows so far, in parts of a box's side, above the highest and below the lowest joint line."""
    lines = [line_of(box) for box in film.boxes.values()]
    middles = [top + height / 2 for _, top, _, height in lines]
    return min(middles) - reach * film.side, max(middles) + reach * film.side


def _cut(film: BoxedFilm, window: Box, hidden: str | None, flip: bool, rng):
    """The window of a film, a little turned, sheared and bent, and where a box comes to lie on it.

    Returns:
        `(height, width)` uint8 with a longer side of 256 pixels; a function from a box on the film
        to the box on it.
    """
    left, top, wide, tall = window
    stretch = float(np.exp(rng.normal(0, 0.06)))
    scale = LOCALISER_SIDE / max(wide * stretch, tall)
    width, height = (max(24, round(s * scale)) for s in (wide * stretch, tall))
    # From a pixel of the view, measured from its middle, to one of the film.
    turn, shear = rng.normal(0, 0.06), rng.normal(0, 0.03)
    cos, sin = np.cos(turn), np.sin(turn)
    across = np.array([[cos, -sin + shear], [sin, cos]]) / scale
    across[:, 0] *= (-1 if flip else 1) / stretch
    middle = np.array([left + wide / 2, top + tall / 2])

    source, factor = film.image, 1.0
    if scale < FINE:
        source, factor = film.half_size, 0.5
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32) + 0.5 - width / 2,
        np.arange(height, dtype=np.float32) + 0.5 - height / 2,
    )
    bend = rng.uniform(0, 0.02) * film.side
    cells = tuple(rng.integers(3, 7, 2))
    bent = [bend * smooth_noise((height, width), cells, rng) for _ in "xy"]
    x = across[0, 0] * columns + across[0, 1] * rows + middle[0] + bent[0]
    y = across[1, 0] * columns + across[1, 1] * rows + middle[1] + bent[1]
    if hidden:
        source = _without(source, film.boxes[hidden], film, factor)
    beyond = float(np.percentile(source[::8, ::8], rng.choice([1, 10])))
    image = cv2.remap(
        source,
        (x * factor - 0.5).astype(np.float32),
        (y * factor - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT,
        borderValue=beyond,
    )
    back = np.linalg.inv(across)

    def place(box: Box) -> Box:
        centre = np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])
        line_middle = centre + (0, line_of(box)[1] + line_of(box)[3] / 2 - centre[1])
        seen = back @ (line_middle - middle)
        column, row = (int(v) for v in (seen + (width / 2, height / 2)).clip(
            0, (width - 1, height - 1)))
        seen = back @ (line_middle - (bent[0][row, column], bent[1][row, column]) - middle)
        seen += (width / 2, height / 2)
        size = box[2] * scale * stretch, box[3] * scale
        below = line_of((0, 0, *size))
        return (
            seen[0] - size[0] / 2,
            seen[1] - below[1] - below[3] / 2,
            *size,
        )

    return image, place


def _without(source: np.ndarray, box: Box, film: BoxedFilm, factor: float) -> np.ndarray:
    """A film on which one leg is gone: what lies on the box's side of the middle is dark."""
    centres = [other[0] + other[2] / 2 for other in film.boxes.values()]
    middle = round(np.mean(centres) * factor)
    source = source.copy()
    dark = np.percentile(source[::8, ::8], 2)
    if box[0] + box[2] / 2 < np.mean(centres):
        source[:, :middle] = dark
    else:
        source[:, middle:] = dark
    return source
