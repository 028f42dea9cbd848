"""Knee joints at different places: a square crop becomes a small joint on a drawn leg.

All joints of a set of crops lie at the same place, so attention can point at them without looking
at the image. Here each crop is shrunk and set at a random place of an image of the paper's size. A
leg is drawn around it: its shafts continue up and down, soft tissue and air to the sides. Place and
size follow from the knee's name. They are the same in every run, and the joint's place is known.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import cv2
import numpy as np

from knee_attention.films.legs import id_and_side
from knee_attention.films.radiograph import resize_knee, to_uint8
from knee_attention.limits import KNEE_SIZE

SHARES = 0.4, 0.7
"""The smallest and the largest side of a crop as parts of the image's width."""

JOINT = 0.08, 0.42, 0.93, 0.64
"""The joint in a square crop: left, top, right and bottom as parts of its side. They are medians
over the joint spaces that experts drew on 84 knees of the public set."""

LONGEST = 1.25
"""The long over the short side of a square crop may be this large, because uniform borders may have
been cut off."""


@dataclass(frozen=True)
class Displacement:
    """The place of a knee's crop in an image of `KNEE_SIZE`.

    Attributes:
        left, top, side: the square that the crop fills, in pixels.
        seed: seed of the drawn leg.

    Example:
        >>> place = Displacement.of("train/2/9001695L.png")
        >>> place == Displacement.of("9001695_L")
        True
        >>> place.left, place.top, place.side
        (58, 39, 96)
    """

    left: int
    top: int
    side: int
    seed: int

    @classmethod
    def of(cls, file: str | os.PathLike) -> "Displacement":
        """The displacement of a knee. It follows from the id and the side in the file's name."""
        name = "_".join(filter(None, id_and_side(file)))
        seed = int.from_bytes(sha256(os.fsencode(name)).digest()[:8], "big")
        generator = np.random.default_rng(seed)
        height, width = KNEE_SIZE
        side = round(width * generator.uniform(*SHARES))
        left, top = (int(generator.integers(room - side + 1)) for room in (width, height))
        return cls(left, top, side, seed)

    def joint(self, size: tuple[int, int]) -> np.ndarray:
        """The part of an image of this height and width that shows the joint, as a bool array."""
        x, y = ((np.arange(count) + 0.5) / count * full
                for count, full in zip(size[::-1], KNEE_SIZE[::-1], strict=True))
        left, top, right, bottom = JOINT
        x, y = (x - self.left) / self.side, (y - self.top) / self.side
        return np.outer((y > top) & (y < bottom), (x > left) & (x < right))


def displaced(knee: np.ndarray, place: Displacement) -> np.ndarray:
    """Draw a leg around a crop of a knee joint.

    Args:
        knee: `(height, width[, channels])`, a square crop, bone bright.
        place: where the crop lies on the result.

    Returns:
        `KNEE_SIZE` uint8, from 0, air, to 255.

    Raises:
        ValueError: the image is not a square crop.
    """
    knee = to_uint8(knee)
    if max(knee.shape) > LONGEST * min(knee.shape):
        raise ValueError(f"not a square crop: {knee.shape[1]}x{knee.shape[0]} pixels")
    generator = np.random.default_rng(place.seed)
    crop = resize_knee(knee.astype(np.float32), (place.side, place.side))
    low, middle = np.percentile(crop, (1, 50))
    air = low - 0.3 * (middle - low)
    curve = _Curve.drawn(place, generator)
    flesh = curve.seen(_continued(crop, place))
    leg = air + (flesh - air) * curve.thickness
    top, left = (int(generator.integers(room)) for room in KNEE_SIZE)
    grain = _grain()[top : top + KNEE_SIZE[0], left : left + KNEE_SIZE[1]]
    grain = grain * curve.seen(_roughness(crop, place)) * curve.thickness
    leg = np.maximum(leg + grain * (1 - np.exp(-curve.distance / 1.5)), air)
    return cv2.normalize(leg, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)


@dataclass(frozen=True)
class _Curve:
    """The shape of a leg: `(height, width)` float32 arrays of `KNEE_SIZE`.

    Attributes:
        columns: the column of a straight leg (see `_continued`) that each pixel shows.
        thickness: the leg's thickness from 0, air, to 1.
        distance: the distance from the crop in pixels; 0 on it.
    """

    columns: np.ndarray
    thickness: np.ndarray
    distance: np.ndarray

    @classmethod
    def drawn(cls, place: Displacement, generator: np.random.Generator) -> "_Curve":
        """A leg that narrows away from the joint to shafts that lean a little."""
        height, width = KNEE_SIZE
        half = place.side / 2
        y = np.arange(height, dtype=np.float32)[:, np.newaxis] - (place.top + half)
        x = np.arange(width, dtype=np.float32) - (place.left + half)
        beyond = np.maximum(np.abs(y) - half, 0)
        narrow, lean = (
            np.where(y < 0, *generator.uniform(*bounds, size=2).astype(np.float32))
            for bounds in ((0.25, 0.4), (-0.15, 0.15))
        )
        x = x - lean * beyond * (1 - np.exp(-beyond / place.side))
        narrow = narrow * (1 - np.exp(-beyond / half))
        of_bone = np.clip(2 - np.abs(x) / half, 0, 1)  # the skin does not narrow like the bone
        columns = x * (1 + of_bone * narrow / (1 - narrow)) + half + place.side // 2
        outside = np.maximum(np.abs(x) - half, 0)
        along = y / height
        skins = [
            generator.uniform(0.1, 0.5) + generator.uniform(-0.15, 0.15) * along
            + generator.uniform(0, 0.5) * along**2
            for _ in "LR"
        ]  # fmt: skip
        skin = np.maximum(place.side * np.where(x < 0, *skins), 2)
        thickness = np.sqrt(np.maximum(1 - (outside / skin) ** 2, 0))
        return cls(columns, _blurred(thickness, 0.8, 0.8), np.maximum(beyond, outside))

    def seen(self, straight: np.ndarray) -> np.ndarray:
        """The image of a straight leg, which has as many rows as this one, bent to this shape."""
        rows = np.arange(len(straight), dtype=np.float32)[:, np.newaxis]
        rows = np.ascontiguousarray(np.broadcast_to(rows, self.columns.shape))
        return cv2.remap(straight, self.columns, rows, cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)


def _continued(crop: np.ndarray, place: Displacement) -> np.ndarray:
    """A crop that continues to the sides, by half its side, and up and down to the image's borders.

    The first pixels continue the crop's last ones exactly. Then fine detail fades, so that no edge
    shows where the crop ends.
    """
    side = place.side
    steps = np.arange(1, side // 2 + 1, dtype=np.float32)
    flanks = []
    for edge in (crop[:, :1], crop[:, -1:]):
        smooth = _blurred(edge, 1, side / 30)
        far = np.percentile(smooth, 10)
        flanks.append(far + (smooth - far) * np.exp(-8 * steps / side)
                      + (edge - smooth) * np.exp(-steps / 1.5))
    wide = np.hstack([flanks[0][:, ::-1], crop, flanks[1]])
    shafts = []
    for ends, rows in ((wide[:4], place.top), (wide[:-5:-1], KNEE_SIZE[0] - side - place.top)):
        steps = np.arange(1, rows + 1, dtype=np.float32)[:, np.newaxis]
        smooth = ends.mean(axis=0, keepdims=True)
        far = 0.2 * smooth + 0.8 * _blurred(smooth, side / 25, 1)
        shafts.append(far + (smooth - far) * np.exp(-3 * steps / side)
                      + (ends[:1] - smooth) * np.exp(-steps / 2))
    return np.vstack([shafts[0][::-1], wide, shafts[1]])


def _roughness(crop: np.ndarray, place: Displacement) -> np.ndarray:
    """The strength of fine detail around each pixel of a crop, continued as by `_continued`."""
    side = place.side
    rough = _blurred(np.abs(crop - _blurred(crop, 1, 1)), side / 12, side / 12)
    below = KNEE_SIZE[0] - side - place.top
    return cv2.copyMakeBorder(rough, place.top, below, side // 2, side // 2, cv2.BORDER_REPLICATE)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Noise with vertical strands, as in bone, in units of `_roughness`; twice as high and wide
    as `KNEE_SIZE`."""
    height, width = KNEE_SIZE
    noise = np.random.default_rng(0).standard_normal((2 * height, 2 * width), dtype=np.float32)
    noise = _blurred(noise, 0.6, 1.5)
    return 0.35 * noise / np.abs(noise - _blurred(noise, 1, 1)).mean()


def _blurred(image: np.ndarray, across: float, along: float) -> np.ndarray:
    """An image after a Gaussian blur with these deviations in pixels."""
    return cv2.GaussianBlur(image, (0, 0), across, sigmaY=along, borderType=cv2.BORDER_REPLICATE)
