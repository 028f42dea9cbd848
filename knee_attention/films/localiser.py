"""Finds the knee joints on a film, by the trained network that ships with this package."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.films.joints import CROP_COVERED, Joint, covered, jaccard, joints_on
from knee_attention.films.radiograph import cut_out, equalize, resize_knee, to_uint8
from knee_attention.options import LOCALISER_SIDE, SMALLEST_SIDE

SHIPPED = Path(__file__).with_name("localiser.onnx")
"""Made by `experiments/run_localiser.py`."""


AFAR = 2.5
"""The reach of a look at what may be a crop of a joint: one that fills the 256 pixels is larger
than the 66 that the network sees at once."""

NEAR = 2.6
"""The window of the second look in sides of the joint box, which then has about 100 of its 256
pixels, as in half a film."""

SAME = 0.25
"""The Jaccard index with which both looks mean the same joint."""

UNCONFIRMED = 0.2
"""The highest score of a joint that the second look does not show."""


def localiser_input(
    film: np.ndarray, reach: float = 1.0
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """A film as the localiser takes it, in training and afterwards: shrunk with its proportions,
    equalised, and centred on black.

    Args:
        film: `(height, width[, channels])`, any dtype, bone bright.
        reach: the side of the square in longer sides of the film.

    Returns:
        `(256, 256)` uint8; the pixels of it that one pixel of the film became; and the left and
        the top border in pixels.

    Raises:
        ValueError: no image, or one too small for a knee.
    """
    grey = to_uint8(film)
    scale = LOCALISER_SIDE / (reach * max(grey.shape))
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = equalize(resize_knee(grey, (height, width)))
    top, left = (LOCALISER_SIDE - height) // 2, (LOCALISER_SIDE - width) // 2
    square = np.zeros((LOCALISER_SIDE, LOCALISER_SIDE), np.uint8)
    square[top : top + height, left : left + width] = small
    return square, scale, (left, top)


class Localiser:
    """A trained localiser, run by OpenCV: neither Keras nor TensorFlow is imported.

    Args:
        path: an `.onnx` file of `export_localiser`.

    It may be called from several threads.

    Raises:
        InputError: no such file, or no localiser.
    """

    def __init__(self, path: Path = SHIPPED):
        try:
            content = np.fromfile(path, np.uint8)
            self._network = cv2.dnn.readNetFromONNX(content)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
        except cv2.error:
            raise InputError(f"{path}: no localiser, or a damaged one") from None
        self._lock = Lock()  # a network of OpenCV holds its input

    def line_map(self, square: np.ndarray) -> np.ndarray:
        """The map `(256, 256)` float32, 0-1, of an image `(256, 256)` uint8 of `localiser_input`.
        """
        with self._lock:
            self._network.setInput(square[np.newaxis, np.newaxis].astype(np.float32))
            return self._network.forward()[0, 0].copy()

    def joints(self, film: np.ndarray, most: int = 2) -> list[Joint]:
        """The joints on a film, in pixels of the film, whatever their score.

        Args:
            film: `(height, width[, channels])`, any dtype, bone bright.
            most: 2 for a film of both knees, 1 for half a film.

        Returns:
            The patient's right and left knee, one joint of unknown side, or nothing.

        Raises:
            ValueError: no image, or one too small for a knee.
        """
        grey = to_uint8(film)
        joints = self._seen(grey, most)
        for crop in self._seen(grey, 1, AFAR):
            fills = covered(crop.box, grey.shape) >= CROP_COVERED
            if fills and crop.score > max((joint.score for joint in joints), default=0):
                joints = [crop]
        return [self._from_near(grey, joint) for joint in joints]

    def _seen(self, grey: np.ndarray, most: int, reach: float = 1.0) -> list[Joint]:
        """The joints as one look at an image shows them."""
        square, scale, (left, top) = localiser_input(grey, reach)
        return [
            replace(joint, box=((x - left) / scale, (y - top) / scale, w / scale, h / scale))
            for joint in joints_on(self.line_map(square), most)
            for x, y, w, h in [joint.box]
        ]

    def _from_near(self, grey: np.ndarray, joint: Joint) -> Joint:
        """The joint as a second look from the best distance shows it; its score is the lower one.
        """
        x, y, width, height = joint.box
        size = max(SMALLEST_SIDE, round(NEAR * width))
        left, top = round(x + (width - size) / 2), round(y + (height - size) / 2)
        near = [
            replace(seen, box=(seen.box[0] + left, seen.box[1] + top, *seen.box[2:]))
            for seen in self._seen(cut_out(grey, (left, top, size, size)), 2)
        ]
        best = max(near, key=lambda seen: jaccard(seen.box, joint.box), default=None)
        if best is None or jaccard(best.box, joint.box) < SAME:
            return replace(joint, score=min(joint.score, UNCONFIRMED))
        return Joint(best.box, min(joint.score, best.score), joint.side)


@lru_cache(maxsize=1)
def shipped_localiser() -> Localiser:
    """The localiser of this package, loaded once."""
    return Localiser()
