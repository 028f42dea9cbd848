"""Finds the knee joints on a film, by the trained network that ships with this package."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.films.joints import CROP_COVERED, Joint, covered, joints_on
from knee_attention.films.radiograph import equalize, resize_knee, to_uint8
from knee_attention.options import LOCALISER_SIDE

SHIPPED = Path(__file__).with_name("localiser.onnx")
"""Made by `experiments/run_localiser.py`."""


AFAR, FARTHER = 2.5, 3.5
"""The reach of a look at what may be a crop of a joint: one that fills the 256 pixels is larger
than the 66 that the network sees at once."""

SMALLEST_BOX = 1 / 6
"""Of the shorter side of a film; on films of both knees a joint box has a quarter and more."""


def localiser_input(
    film: np.ndarray, reach: float = 1.0
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """A film as the localiser takes it, in training and afterwards: shrunk with its proportions,
    equalised by tiles, and centred on black.

    One histogram of the whole film, as for the grading networks, hides the bone's edges where
    fields are saturated: a network that learnt from such films found the left joint of the OAI film
    9000099 a fifth too narrow, and of the same film equalised by tiles a twentieth.

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
    small = equalize(resize_knee(grey, (height, width)), "clahe")
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
        """The joints on a film, in pixels of the film, whatever their score; none that is too small
        for a knee.

        Args:
            film: `(height, width[, channels])`, any dtype, bone bright.
            most: 2 for a film of both knees, 1 for half a film.

        Returns:
            The patient's right and left knee, one joint of unknown side, or nothing.

        Raises:
            ValueError: no image, or one too small for a knee.
        """
        grey = to_uint8(film)
        least = SMALLEST_BOX * min(grey.shape)
        joints = [joint for joint in self._seen(grey, most) if joint.box[2] >= least]
        for crop in self._seen(grey, 1, AFAR):
            fills = covered(crop.box, grey.shape) >= CROP_COVERED
            if fills and crop.score > max((joint.score for joint in joints), default=0):
                joints = [crop]
        return joints

    def from_afar(self, film: np.ndarray) -> list[Joint]:
        """The joint that a crop shows, as looks from two distances have it, whatever its score; of
        a severely diseased joint its box may be wrong.

        Args:
            film: as `joints` takes it.
        """
        grey = to_uint8(film)
        return [joint for reach in (AFAR, FARTHER) for joint in self._seen(grey, 1, reach)]

    def _seen(self, grey: np.ndarray, most: int, reach: float = 1.0) -> list[Joint]:
        """The joints as one look at an image shows them."""
        square, scale, (left, top) = localiser_input(grey, reach)
        return [
            replace(joint, box=((x - left) / scale, (y - top) / scale, w / scale, h / scale))
            for joint in joints_on(self.line_map(square), most)
            for x, y, w, h in [joint.box]
        ]


def fingerprint() -> str:
    """What tells the localiser of this package from one that is installed in its place."""
    return hashlib.sha256(SHIPPED.read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=1)
def shipped_localiser() -> Localiser:
    """The localiser of this package, loaded once."""
    return Localiser()
