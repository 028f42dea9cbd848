"""Finds the knee joints on a film, by the trained network that ships with this package."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.films.joints import Joint, different, jaccard, joints_on, resized
from knee_attention.films.radiograph import cut_out, equalize, resize_knee, to_uint8
from knee_attention.limits import LOCALISER_SIDE

SHIPPED = Path(__file__).with_name("localiser.onnx")
"""Made by `experiments/run_localiser.py`."""

LOOKS = (1.0, 2.0)
"""How far away a film is looked at: so many longer sides of it fill the localiser's input. A crop
of a joint, which fills the image, looks from twice as far like a joint on a film."""

CLOSER = (2.2, 3.0)
"""Two closer looks at a joint show squares around its box that are larger by these factors. Their
mean tells metal from bone more surely than one look: of 9 prostheses and 174 close views kept from
the training 9 and 1 reach `joint_crops.IMPLANT`, by the first of them alone 8 and 2."""

ENLARGED = 1.03
"""Boxes are found 3% too small: medians over 28 and 65 knees of clinical validation films and 4 of
OAI films."""

SAME_PLACE = 0.5
"""The Jaccard index at least of a joint's box and that of the second look."""


def localiser_input(
    film: np.ndarray, reach: float = 1.0
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """A film as the localiser takes it, in training and afterwards: shrunk with its proportions and
    centred on black, once equalised by tiles and once as it is.

    One histogram of the whole film, as for the grading networks, hides the bone's edges where
    fields are saturated; by tiles metal is hardly brighter than bone.

    Args:
        film: `(height, width[, channels])`, any dtype, bone bright.
        reach: the side of the square in longer sides of the film.

    Returns:
        `(256, 256, 2)` uint8; the pixels of it that one pixel of the film became; and the left and
        the top border in pixels.

    Raises:
        ValueError: no image, or one too small for a knee.
    """
    grey = to_uint8(film)
    scale = LOCALISER_SIDE / (reach * max(grey.shape))
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = resize_knee(grey, (height, width))
    top, left = (LOCALISER_SIDE - height) // 2, (LOCALISER_SIDE - width) // 2
    square = np.zeros((LOCALISER_SIDE, LOCALISER_SIDE, 2), np.uint8)
    square[top : top + height, left : left + width, 0] = equalize(small, "clahe")
    square[top : top + height, left : left + width, 1] = small
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

    def maps(self, square: np.ndarray) -> np.ndarray:
        """The maps `(32, 32, 5)` float32 of a film as `localiser_input` gives it."""
        with self._lock:
            self._network.setInput(square.transpose(2, 0, 1)[np.newaxis].astype(np.float32))
            return np.ascontiguousarray(self._network.forward()[0].transpose(1, 2, 0))

    def joints(self, film: np.ndarray) -> list[Joint]:
        """The joints on a film, in pixels of the film, the highest score first.

        Args:
            film: `(height, width[, channels])`, any dtype, bone bright.

        Raises:
            ValueError: no image, or one too small for a knee.
        """
        grey = to_uint8(film)
        joints = [self._closer(grey, joint) for joint in self._first_looks(grey)]
        return different(
            [replace(joint, box=resized(joint.box, ENLARGED)) for joint in joints]
        )

    def surest(self, film: np.ndarray) -> float:
        """The score of the joint that is seen most surely at first sight; 0 where there is none.

        Args:
            film: as `joints` takes it.
        """
        return max((joint.score for joint in self._first_looks(to_uint8(film))), default=0.0)

    def _first_looks(self, grey: np.ndarray) -> list[Joint]:
        return different([joint for reach in LOOKS for joint in self._seen(grey, reach)])

    def _seen(self, grey: np.ndarray, reach: float = 1.0) -> list[Joint]:
        """The joints as one look at an image shows them."""
        square, scale, (left, top) = localiser_input(grey, reach)
        return [
            replace(joint, box=((x - left) / scale, (y - top) / scale, w / scale, h / scale))
            for joint in joints_on(self.maps(square))
            for x, y, w, h in [joint.box]
        ]

    def _closer(self, grey: np.ndarray, joint: Joint) -> Joint:
        """A joint as the mean of closer looks has it, of those that show the same joint."""
        found = []
        for factor in CLOSER:
            left, top, width, height = map(round, resized(joint.box, factor))
            for closer in self._seen(cut_out(grey, (left, top, width, height), "dark")):
                box = (closer.box[0] + left, closer.box[1] + top, *closer.box[2:])
                if jaccard(box, joint.box) >= SAME_PLACE:
                    found.append(replace(closer, box=box))
                    break
        if not found:
            return joint
        boxes, scores, implants = zip(
            *((other.box, other.score, other.implant) for other in found), strict=True
        )
        return Joint(tuple(np.mean(boxes, axis=0).tolist()), float(np.mean(scores)),
                     float(np.mean(implants)))


def fingerprint() -> str:
    """What tells the localiser of this package from one that is installed in its place."""
    return hashlib.sha256(SHIPPED.read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=1)
def shipped_localiser() -> Localiser:
    """The localiser of this package, loaded once."""
    return Localiser()
