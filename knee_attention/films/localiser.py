"""The joint localiser: finds the knee joints on a film with the network that ships here."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.films.joints import Joint, jaccard, joints_on, resized, without_duplicates
from knee_attention.films.radiograph import cut_out, equalize, resize_knee, to_uint8
from knee_attention.limits import LOCALISER_SIDE

SHIPPED = Path(__file__).with_name("localiser.onnx")
"""The model file, trained by `experiments/run_localiser.py`."""

SCALES = (1.0, 2.0)
"""The localiser sees a film at two scales: its longer side fills the input, or half of it. At the
smaller scale a crop of a joint looks like a joint on a whole film."""

ENLARGED_VIEWS = (2.2, 3.0)
"""Each joint is then located again on two enlarged views: squares around its box, larger by these
factors."""

BOX_SCALE = 1.03
"""The localiser's boxes are 3% too small and are enlarged by this factor. Medians over 28 and 65
knees of clinical validation films, and over 4 of OAI films, agree on it."""

SAME_PLACE = 0.5
"""The smallest Jaccard index of a joint's box and its box on an enlarged view."""


def localiser_input(
    film: np.ndarray, reach: float = 1.0
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """Prepare a film for the localiser, in training and in use.

    The film keeps its proportions and is centred on black. The first channel is equalised by tiles,
    the second is not equalised. A histogram of the whole film, as for the grading networks, would
    hide the edges of bone on saturated films. After equalisation by tiles metal is hardly brighter
    than bone, so the second channel is needed too.

    Args:
        film: `(height, width[, channels])`, any dtype, bone bright.
        reach: the side of the square as a multiple of the film's longer side.

    Returns:
        `(256, 256, 2)` uint8; the scale, in its pixels per pixel of the film; and its left and
        top border in pixels.

    Raises:
        ValueError: not an image, or too small for a knee.
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
    """A trained localiser that OpenCV runs, without Keras and TensorFlow. It is thread-safe.

    Args:
        path: an `.onnx` file that `export_localiser` wrote.

    Raises:
        InputError: the file is missing or is not an ONNX model.
    """

    def __init__(self, path: Path = SHIPPED):
        try:
            content = np.fromfile(path, np.uint8)
            self._network = cv2.dnn.readNetFromONNX(content)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
        except cv2.error:
            raise InputError(f"{path}: not a localiser, or a damaged file") from None
        self._lock = Lock()  # an OpenCV network stores its input

    def maps(self, square: np.ndarray) -> np.ndarray:
        """The network's output maps, `(32, 32, 5)` float32, for the result of `localiser_input`."""
        with self._lock:
            self._network.setInput(square.transpose(2, 0, 1)[np.newaxis].astype(np.float32))
            return np.ascontiguousarray(self._network.forward()[0].transpose(1, 2, 0))

    def joints(self, film: np.ndarray) -> list[Joint]:
        """The joints on a film, in pixels of the film, the highest score first.

        Args:
            film: `(height, width[, channels])`, any dtype, bone bright.

        Raises:
            ValueError: not an image, or too small for a knee.
        """
        grey = to_uint8(film)
        detected = [joint for reach in SCALES for joint in self._detect(grey, reach)]
        joints = [self._refined(grey, joint) for joint in without_duplicates(detected)]
        return without_duplicates(
            [replace(joint, box=resized(joint.box, BOX_SCALE)) for joint in joints]
        )

    def highest_score(self, film: np.ndarray, reach: float) -> float:
        """The highest joint score on a film at one scale; 0 if there is no joint.

        Args:
            film: as for `joints`.
            reach: one of `SCALES`.
        """
        return max((joint.score for joint in self._detect(to_uint8(film), reach)), default=0.0)

    def _detect(self, grey: np.ndarray, reach: float = 1.0) -> list[Joint]:
        """The joints that one run of the network finds on an image."""
        square, scale, (left, top) = localiser_input(grey, reach)
        return [
            replace(joint, box=((x - left) / scale, (y - top) / scale, w / scale, h / scale))
            for joint in joints_on(self.maps(square))
            for x, y, w, h in [joint.box]
        ]

    def _refined(self, grey: np.ndarray, joint: Joint) -> Joint:
        """Refine a joint: the mean over the enlarged views in which the same joint is found."""
        found = []
        for factor in ENLARGED_VIEWS:
            left, top, width, height = map(round, resized(joint.box, factor))
            for seen in self._detect(cut_out(grey, (left, top, width, height), "dark")):
                box = (seen.box[0] + left, seen.box[1] + top, *seen.box[2:])
                if jaccard(box, joint.box) >= SAME_PLACE:
                    found.append(replace(seen, box=box))
                    break
        if not found:
            return joint
        boxes, scores, implants = zip(
            *((other.box, other.score, other.implant) for other in found), strict=True
        )
        return Joint(tuple(np.mean(boxes, axis=0).tolist()), float(np.mean(scores)),
                     float(np.mean(implants)))


def fingerprint() -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the shipped model file."""
    return hashlib.sha256(SHIPPED.read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=1)
def shipped_localiser() -> Localiser:
    """The localiser that ships with this package; it is loaded once."""
    return Localiser()
