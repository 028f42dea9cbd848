"""Cutting crops of the knee joints out of a film."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knee_attention.films.joints import (
    LINE_BELOW_MIDDLE,
    SEEN,
    SQUARE_SIDE,
    Box,
    Joint,
    core_seen,
    jaccard,
    resized,
)
from knee_attention.films.localiser import Localiser, shipped_localiser
from knee_attention.films.polarity import bone_bright
from knee_attention.films.radiograph import cut_out, to_grey

THRESHOLD = 0.65
"""A joint with a lower score counts as not found.

On held-out images, all 95 joints of clinical films and 694 of 696 close views from another country
reach it. Of 51 images without a gradable knee one does: a thigh with the knee at its lower border.
"""

CROP_THRESHOLD, CROP_FILLED = 0.5, 0.8
"""The score threshold is `CROP_THRESHOLD` if the image is itself a crop: its Jaccard index with the
joint's square crop is above `CROP_FILLED`."""

IMPLANT = 0.65
"""From this implant score on, a prosthesis or other metal counts as covering the joint."""

SECOND = 0.75
"""A second joint counts from this score on, unless two are expected. Of 91 clinical films of both
knees none has less than 0.80; an oblique lateral view beside a frontal knee has 0.71."""

LIKELY = 0.3
"""If no joint reaches its threshold, joints with at least this score are still checked for
implants."""

SAME_CROP = 0.65
"""An image is a crop already if its Jaccard index with the joint's square crop is higher than this.
For half a film the index is about 1/6."""

SIDE_BY_SIDE = 0.5
"""Boxes of two knees overlap horizontally by at most this part of the narrower box's width."""

ANTONY_ASPECT = 1.5
"""Width over height of Antony's crop, the 300 by 200 pixel input of his networks. The crop is as
wide as the joint box and centred on the joint line."""

QUARTERS = {1: "rotated by 90 degrees clockwise", 2: "upside down",
            3: "rotated by 90 degrees anticlockwise"}  # fmt: skip
"""A film's rotation, by the number of anticlockwise quarter turns that make it upright."""


@dataclass(frozen=True)
class JointCrop:
    """A crop of a knee joint.

    Attributes:
        side: the patient's side, `"R"` or `"L"`; None if unknown.
        image: `(height, width)`, the crop, of the film's dtype.
        joint: the joint that was found on the film; None if the film is itself a crop.
        box: the part that was cut out: left, top, width and height in pixels of the film; None if
            the film is itself a crop.
    """

    side: str | None
    image: np.ndarray
    joint: Joint | None = None
    box: tuple[int, int, int, int] | None = None


def crop_of(joint_box: Box, aspect: str) -> tuple[int, int, int, int]:
    """The part of a film to cut out around a joint box.

    Args:
        joint_box: left, top, width and height of the joint box.
        aspect: `"square"`, like the crops of the public set, or `"antony"`.

    Returns:
        Left, top, width and height in whole pixels; the crop may extend beyond the film.

    Raises:
        ValueError: an unknown `aspect`.
    """
    left, top, width, height = joint_box
    middle = left + width / 2, top + height / 2
    if aspect == "square":
        across = down = SQUARE_SIDE * width
    elif aspect == "antony":
        across, down = width, width / ANTONY_ASPECT
        middle = middle[0], middle[1] + LINE_BELOW_MIDDLE * height
    else:
        raise ValueError(f"expected an aspect 'square' or 'antony'. Received: {aspect!r}")
    size = max(1, round(across)), max(1, round(down))
    return round(middle[0] - size[0] / 2), round(middle[1] - size[1] / 2), *size


def joint_crops(
    film: np.ndarray, view: str = "auto", aspect: str = "square", implants: str = "refuse",
    localiser: Localiser | None = None,
) -> list[JointCrop]:
    """Find the knee joints of a film and cut them out.

    Args:
        film: `(height, width[, channels])`, any dtype, bone bright: a film of both knees, half of
            one, or a crop of a joint.
        view: `"bilateral"`, a film of both knees; `"single"`, one knee; `"crop"`, the crop of a
            joint, which is returned unchanged; or `"auto"`.
        aspect: as for `crop_of`.
        implants: `"refuse"` or `"accept"` knees with a prosthesis or other metal over the joint.
        localiser: finds the joints; by default the one that ships with this package.

    Returns:
        The right and the left knee of a film, or one knee of unknown side.

    Raises:
        ValueError: not an image, an implant, or another number of joints than expected. The message
            gives the score, the threshold, and a rotation if the film seems to be rotated.
    """
    film = to_grey(np.asarray(film))
    if view == "crop":
        return [JointCrop(None, film)]
    localiser = localiser or shipped_localiser()
    joints = joints_to_grade(localiser.joints(film), view, implants, film, localiser)
    if len(joints) == 1 and _filled_by(joints[0], film.shape) > SAME_CROP:
        return [JointCrop(None, film)]
    crops = []
    for joint in joints:
        box = crop_of(joint.box, aspect)
        crops.append(JointCrop(joint.side, cut_out(film, box), joint, box))
    return crops


def joints_to_grade(
    candidates: Sequence[Joint], view: str, implants: str, film: np.ndarray, localiser: Localiser
) -> list[Joint]:
    """Choose the joints to grade: two with their sides, or one of unknown side.

    Args:
        candidates: the joints that the localiser found.
        view: as for `joint_crops`.
        implants: as for `joint_crops`.
        film: `(height, width)`, bone bright.
        localiser: used to recognise a rotated film when no joint is found.

    Raises:
        ValueError: as for `joint_crops`.
    """
    joints = [joint for joint in candidates if joint.score >= threshold_of(joint, film.shape)]
    likely = joints or [joint for joint in candidates if joint.score >= LIKELY]
    metal = [joint.implant for joint in likely if joint.implant >= IMPLANT]
    if implants == "refuse" and metal:
        alone = "; cut out the other knee to grade it" if len(likely) > len(metal) else ""
        raise ValueError("a prosthesis or implant covers the joint (score "
                         f"{_rounded_down(max(metal))}, the threshold is {IMPLANT:.2f}){alone}")
    joints, found = [joint for joint in joints if core_seen(joint.box, film.shape) >= SEEN], joints
    if found and not joints:
        raise ValueError("the border of the film cuts off the knee joint")
    if view == "single":
        joints = joints[:1]
    elif view == "auto":
        joints = joints[:1] + [joint for joint in joints[1:] if joint.score >= SECOND]
    next_best = max((joint.score for joint in candidates if joint not in found), default=0.0)
    scores = f"score {_rounded_down(next_best)}, the threshold is {THRESHOLD:.2f}"
    if not joints:
        raise ValueError(f"no knee joint found ({scores}{_orientation_hint(film, localiser)})")
    if len(joints) > 2:
        raise ValueError(f"expected at most two knee joints, found {len(joints)}")
    if len(joints) == 1:
        if view == "bilateral" and len(found) > 1:
            raise ValueError("the border of the film cuts off one of the knee joints")
        if view == "bilateral":
            raise ValueError("expected two knee joints, found one (score of the second: "
                             f"{_rounded_down(next_best)}, the threshold is {THRESHOLD:.2f})")
        return joints
    if not _side_by_side(*(joint.box for joint in joints)):
        raise ValueError("the two knee joints are not side by side")
    ordered = sorted(joints, key=lambda joint: joint.box[0])
    return [replace(joint, side=side) for joint, side in zip(ordered, "RL", strict=True)]


def threshold_of(joint: Joint, shape: tuple[int, int]) -> float:
    """The score that a joint must reach on a film whose height and width are `shape`."""
    return CROP_THRESHOLD if _filled_by(joint, shape) > CROP_FILLED else THRESHOLD


def _filled_by(joint: Joint, shape: tuple[int, int]) -> float:
    """The Jaccard index of an image and a joint's square crop on it."""
    return jaccard(resized(joint.box, SQUARE_SIDE), (0, 0, shape[1], shape[0]))


def _side_by_side(one: Box, other: Box) -> bool:
    shared = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    return shared <= SIDE_BY_SIDE * min(one[2], other[2])


def _rounded_down(score: float) -> str:
    """A score with two decimals, rounded down so that it never equals a threshold it misses."""
    return f"{int(score * 100) / 100:.2f}"


def _orientation_hint(film: np.ndarray, localiser: Localiser) -> str:
    """A message part that names the film's rotation; blank unless rotating it shows a joint."""
    scores = {}
    for quarters, name in QUARTERS.items():
        # `bone_bright` needs an upright film.
        upright, _ = bone_bright(np.ascontiguousarray(np.rot90(film, quarters)))
        scores[name] = sum(joint.score for joint in localiser.joints(upright)
                           if joint.score >= THRESHOLD)
    likeliest = max(scores, key=scores.get)
    return f"; the film seems to be {likeliest}" if scores[likeliest] else ""
