"""From a film to crops of its knee joints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knee_attention.films.grey import to_grey
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
from knee_attention.films.radiograph import cut_out

THRESHOLD = 0.65
"""A joint whose score is lower counts as not found. Of images kept from the training, all 95 joints
of clinical films and 694 of 696 close views of another country reach it, and of 51 without a knee
to be graded one, a thigh with the knee at its lower border."""

CROP_THRESHOLD, CROP_FILLED = 0.5, 0.8
"""So low is the threshold of an image whose Jaccard index with the joint's square crop is so high:
of 826 crops one of severe osteoarthritis has 0.55, at an index of 0.94. Without a knee none has
more than 0.45 at an index above 0.65."""

IMPLANT = 0.65
"""From this score on a prosthesis or other metal is taken to cover a joint."""

SECOND = 0.75
"""A second joint counts from this score on, unless two are expected. Of 91 clinical films of both
knees none has less than 0.80; an oblique lateral view beside a frontal knee has 0.71."""

LIKELY = 0.3
"""From this score on a joint that is not found may be hidden by an implant."""

SAME_CROP = 0.65
"""An image whose Jaccard index with the square crop that would be cut out is higher is a crop
already. Of half a film it is about a sixth."""

SIDE_BY_SIDE = 0.5
"""Two knees share at most this part of the narrower box's columns."""

ANTONY_ASPECT = 1.5
"""Width over height of Antony's crop, 300 by 200 pixels, which is what his networks take. It is as
wide as the joint box, and its middle is that of the joint line."""

QUARTERS = {1: "by 90 degrees clockwise", 2: "upside down", 3: "by 90 degrees anticlockwise"}
"""How a film lies that shows its joints once it is turned by so many quarters anticlockwise."""


@dataclass(frozen=True)
class JointCrop:
    """A knee joint, cut out of a film.

    Attributes:
        side: the patient's, `"R"` or `"L"`; None where it is not known.
        image: `(height, width)`, the crop, of the film's dtype.
        joint: where the joint was found on the film; None if the film is a crop itself.
        box: what was cut out: left, top, width and height in pixels of the film; None for a crop.
    """

    side: str | None
    image: np.ndarray
    joint: Joint | None = None
    box: tuple[int, int, int, int] | None = None


def crop_of(joint_box: Box, aspect: str) -> tuple[int, int, int, int]:
    """The part of a film that is cut out around a joint box.

    Args:
        joint_box: left, top, width and height of the joint box.
        aspect: `"square"`, as the crops of the public set, or `"antony"`.

    Returns:
        Left, top, width and height in whole pixels; it may reach beyond the film.
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
    """Find the knee joints of a film, and cut them out.

    Args:
        film: `(height, width[, channels])`, any dtype, bone bright: a film of both knees, half of
            one, or a crop of a joint.
        view: `"bilateral"`, a film of both knees; `"single"`, one knee; `"crop"`, the crop of a
            joint, which is taken as it is; or `"auto"`.
        aspect: as `crop_of` takes it.
        implants: `"refuse"` knees with a prosthesis or other metal over the joint, or `"accept"`.
        localiser: what finds the joints; by default the one of the package.

    Returns:
        The right and the left knee of a film; or one knee of unknown side.

    Raises:
        ValueError: no image, an implant, or not the joints that are expected. The message says the
            score and the threshold, and whether the film seems to be turned.
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
    """The joints of a film that are to be graded: two with their sides, or one without.

    Raises:
        ValueError: as `joint_crops` does.
    """
    joints = [joint for joint in candidates if joint.score >= threshold_of(joint, film.shape)]
    likely = joints or [joint for joint in candidates if joint.score >= LIKELY]
    metal = max((joint.implant for joint in likely), default=0.0)
    if implants == "refuse" and metal >= IMPLANT:
        raise ValueError(f"a prosthesis or implant covers the joint (score {_cut_short(metal)}, "
                         f"the threshold is {IMPLANT:.2f})")
    joints, found = [joint for joint in joints if core_seen(joint.box, film.shape) >= SEEN], joints
    if found and not joints:
        raise ValueError("the knee joint is cut off by the border of the film")
    if view == "single":
        joints = joints[:1]
    elif view == "auto":
        joints = joints[:1] + [joint for joint in joints[1:] if joint.score >= SECOND]
    next_best = max((joint.score for joint in candidates if joint not in found), default=0.0)
    scores = f"score {_cut_short(next_best)}, the threshold is {THRESHOLD:.2f}"
    if not joints:
        raise ValueError(f"no knee joint found ({scores}{_turned(film, localiser)})")
    if len(joints) > 2:
        raise ValueError(f"{len(joints)} knee joints, where at most two are expected")
    if len(joints) == 1:
        if view == "bilateral":
            raise ValueError("a single knee joint, where two are expected (score of the second: "
                             f"{_cut_short(next_best)}, the threshold is {THRESHOLD:.2f})")
        return joints
    if not _side_by_side(*(joint.box for joint in joints)):
        raise ValueError("two knee joints that do not stand side by side")
    ordered = sorted(joints, key=lambda joint: joint.box[0])
    return [replace(joint, side=side) for joint, side in zip(ordered, "RL", strict=True)]


def threshold_of(joint: Joint, shape: tuple[int, int]) -> float:
    """The score that a joint has to reach on a film of a height and width."""
    return CROP_THRESHOLD if _filled_by(joint, shape) > CROP_FILLED else THRESHOLD


def _filled_by(joint: Joint, shape: tuple[int, int]) -> float:
    """The Jaccard index of an image and the square crop of a joint on it."""
    return jaccard(resized(joint.box, SQUARE_SIDE), (0, 0, shape[1], shape[0]))


def _side_by_side(one: Box, other: Box) -> bool:
    shared = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    return shared <= SIDE_BY_SIDE * min(one[2], other[2])


def _cut_short(score: float) -> str:
    """A score with two decimals, never rounded up to the threshold that it misses."""
    return f"{int(score * 100) / 100:.2f}"


def _turned(film: np.ndarray, localiser: Localiser) -> str:
    """What to say of a film on which a joint is found once it is turned; else nothing."""
    scores = {}
    for quarters, name in QUARTERS.items():
        # Which borders show the beam, and so whether bone is bright, is told of upright films.
        upright, _ = bone_bright(np.ascontiguousarray(np.rot90(film, quarters)))
        scores[name] = sum(joint.score for joint in localiser.joints(upright)
                           if joint.score >= THRESHOLD)
    likeliest = max(scores, key=scores.get)
    return f"; it seems to be turned {likeliest}" if scores[likeliest] else ""
