"""From a film to crops of its knee joints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knee_attention.films.image_files import to_grey
from knee_attention.films.joints import (
    CROP_COVERED,
    LINE_BELOW_MIDDLE,
    THRESHOLD,
    Box,
    Joint,
    covered,
    jaccard,
)
from knee_attention.films.legs import find_gap, split_at
from knee_attention.films.localiser import shipped_localiser
from knee_attention.films.polarity import bone_bright
from knee_attention.films.radiograph import cut_out

SQUARE_SIDE = 0.92
"""Of the square crop, in parts of the joint box: the mean of the public set's crops of the four
knees whose boxes are known (0.87, 0.93, 0.93, 0.96)."""

CLOSER = 1.3
"""A joint is looked at a second time, from as near as this multiple of its box shows it. So near,
the joints of 409 crops of the public set are found 2% too small; on the two real films whose boxes
are known the first look makes the crops 5 to 17% too small, the second 0 to 15%."""

SAME_JOINT = 0.5
"""The Jaccard index at least of the box of the first look and that of the second."""

PUBLIC_CROP = 300
"""Pixels a side that a crop of the public sets has at most: they are squares of 224 or 299."""

ANTONY_ASPECT = 1.5
"""Width over height of Antony's crop, 300 by 200 pixels, which is what his networks take. It is as
wide as the joint box, and its middle is that of the joint line."""


@dataclass(frozen=True)
class JointCrop:
    """A knee joint, cut out of a film.

    Attributes:
        side: the patient's, `"R"` or `"L"`; None where it is not known.
        image: `(height, width)`, the crop, of the film's dtype.
        joint: where the joint was found on the film; None where the film was a crop already and is
            taken as it is.
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


def joint_crops(film: np.ndarray, view: str = "auto", aspect: str = "square") -> list[JointCrop]:
    """Find the knee joints of a film, and cut them out.

    Args:
        film: `(height, width[, channels])`, any dtype, bone bright: a film of both knees, half of
            one, or a crop of a joint.
        view: `"bilateral"`, a film of both knees; `"single"`, one knee; `"crop"`, the crop of a
            joint, which is taken as it is; or `"auto"`.
        aspect: as `crop_of` takes it.

    Returns:
        The right and the left knee of a film; or one knee of unknown side.

    Raises:
        ValueError: no image, or not the joints that are expected: it says how many were found,
            their score, the threshold, and whether the film seems to be turned.
    """
    film = to_grey(np.asarray(film))
    localiser = shipped_localiser()
    if view == "crop" or (view != "bilateral" and _is_public_crop(film)):
        return [JointCrop(None, film)]
    joints = localiser.joints(film, 1 if view == "single" else 2)
    gap = None if view == "single" else find_gap(film)
    if _found(joints) == 1 and gap:
        joints = _in_each_half(film, gap.column)
    if not _found(joints):
        raise ValueError(f"no knee joint found ({_scores(joints)}{_turned(film)})")
    if _found(joints) == 1 and gap:
        raise ValueError(f"a knee joint was found in one of two legs ({_scores(joints)})")
    if len(joints) == 1 and view == "bilateral":
        raise ValueError(f"a single knee joint, where two are expected ({_scores(joints)})")
    if len(joints) == 2:
        joints = _of_one_size([_looked_closer(film, joint) for joint in joints])
    elif covered(joints[0].box, film.shape) < CROP_COVERED:
        joints = [_looked_closer(film, joints[0])]
    crops = []
    for joint in joints:
        if len(joints) == 1 and covered(joint.box, film.shape) >= CROP_COVERED:
            return [JointCrop(None, film)]
        box = crop_of(joint.box, aspect)
        crops.append(JointCrop(joint.side, cut_out(film, box), joint, box))
    return crops


def _is_public_crop(film: np.ndarray) -> bool:
    """Whether an image is a small square that shows a joint from afar, as the public sets' crops
    do. Where osteoarthritis is severe, the looks from nearby, which tell how large the joint is,
    find none or specks.
    """
    height, width = film.shape
    return height == width <= PUBLIC_CROP and any(
        joint.score >= THRESHOLD for joint in shipped_localiser().from_afar(film)
    )


def _looked_closer(film: np.ndarray, joint: Joint) -> Joint:
    """The joint with its box as a second look from nearby has it, if that shows the same joint."""
    left, top, width, height = map(round, resized(joint.box, CLOSER))
    for closer in shipped_localiser().joints(cut_out(film, (left, top, width, height)), 1):
        box = (closer.box[0] + left, closer.box[1] + top, *closer.box[2:])
        if closer.score >= THRESHOLD and jaccard(box, joint.box) >= SAME_JOINT:
            return replace(joint, box=box)
    return joint


def _of_one_size(joints: Sequence[Joint]) -> list[Joint]:
    """Both joints of a film with boxes of the larger one's size: a person's knees differ little,
    and where the film is over-exposed a joint is found too small.
    """
    side = max(joint.box[2] for joint in joints)
    return [replace(joint, box=resized(joint.box, side / joint.box[2])) for joint in joints]


def resized(box: Box, factor: float) -> Box:
    """A box of another size around the same middle."""
    left, top, width, height = box
    return (
        left + (1 - factor) / 2 * width, top + (1 - factor) / 2 * height,
        factor * width, factor * height,
    )  # fmt: skip


def _found(joints: Sequence[Joint]) -> int:
    return sum(joint.score >= THRESHOLD for joint in joints)


def _scores(joints: Sequence[Joint]) -> str:
    lowest = min((joint.score for joint in joints), default=0.0)
    return f"score {lowest:.2f}, the threshold is {THRESHOLD:.2f}"


def _in_each_half(film: np.ndarray, column: int) -> list[Joint]:
    """The joints of the halves of a film in which together only one was found, in its pixels."""
    half = film.shape[1] // 2
    joints = []
    for side, image in split_at(film, column).items():
        start = column if side == "L" else column - half
        for joint in shipped_localiser().joints(image, 1):
            left, *others = joint.box
            joints.append(replace(joint, box=(left + start, *others), side=side))
    return joints


def _turned(film: np.ndarray) -> str:
    """What to say of a film on which a joint is found once it is turned; else nothing."""
    names = {1: "by 90 degrees clockwise", 2: "upside down", 3: "by 90 degrees anticlockwise"}
    scores = {}
    for quarters, name in names.items():
        # Which borders show the beam, and so whether bone is bright, is told of upright films.
        upright, _ = bone_bright(np.ascontiguousarray(np.rot90(film, quarters)))
        scores[name] = sum(joint.score for joint in shipped_localiser().joints(upright)
                           if joint.score >= THRESHOLD)
    likeliest = max(scores, key=scores.get)
    return f"; it seems to be turned {likeliest}" if scores[likeliest] else ""
