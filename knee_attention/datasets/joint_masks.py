"""Joint masks drawn by experts, matched to the knees of a data set by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, InputError
from knee_attention.films.file_kinds import why_unread
from knee_attention.films.image_files import is_image_file, read_image
from knee_attention.films.names import id_and_side

JOINT_ABOVE = 127
"""Pixels of a mask file with a higher grey value belong to the joint."""


@dataclass(frozen=True)
class JointMasks:
    """The masks of a data set's knees.

    Attributes:
        positions: `(n,)` positions of the knees with a mask, ascending.
        joints: the mask of each, a `(height, width)` bool array of the mask file's size.
        left_out: one `ImageError` for each mask that cannot be used.
    """

    positions: np.ndarray
    joints: list[np.ndarray]
    left_out: list[ImageError]


def joint_masks(
    folder: Path, files: Sequence[str], image_shape: Callable[[int], tuple[int, int]]
) -> JointMasks:
    """Read the masks in a folder that have the name of a knee.

    Args:
        folder: a folder of images with the knees' names, such as `<id>R` or `<id>_L`, and any image
            suffix.
        files: the name of each knee's file.
        image_shape: returns the height and width of a knee's stored image for its position. The
            mask must have the same.

    Raises:
        InputError: the folder is missing, or none of its masks can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of masks")
    places = {id_and_side(file): place for place, file in enumerate(files)}
    found, left_out, unmatched = {}, [], []
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    paths = [path for path in files if is_image_file(path)]
    reasons = {path: why_unread(path) for path in files if not is_image_file(path)}
    left_out += [ImageError(path, reason) for path, reason in reasons.items() if reason]
    for path in paths:
        try:
            place = places[id_and_side(path)]
            found[place] = _joint(path, image_shape(place))
        except KeyError:
            unmatched.append(path)
        except ImageError as error:
            left_out.append(error)
    if unmatched:
        more = f" or of {len(unmatched) - 1} more" if unmatched[1:] else ""
        reason = f"no measured knee has the name of this mask{more}"
        left_out.append(ImageError(unmatched[0], reason))
    if not found:
        reason = f" (the first error: {left_out[0]})" if left_out else ""
        raise InputError(f"{folder}: none of its {len(paths)} masks can be used{reason}")
    positions = sorted(found)
    return JointMasks(np.array(positions), [found[place] for place in positions], left_out)


def _joint(path: Path, shape: tuple[int, int]) -> np.ndarray:
    mask = read_image(path)
    if mask.shape != tuple(shape):
        raise ImageError(path, f"the mask has {mask.shape[1]}x{mask.shape[0]} pixels, its knee "
                         f"{shape[1]}x{shape[0]}")
    joint = mask > JOINT_ABOVE
    if not joint.any() or joint.all():
        raise ImageError(path, "the mask marks no pixel or every pixel as joint")
    return joint

