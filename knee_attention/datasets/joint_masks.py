"""Masks of the joint that experts drew, matched with the knees of a data set by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, InputError
from knee_attention.films.file_kinds import why_unread
from knee_attention.films.image_files import is_image_file, read_image
from knee_attention.films.names import id_and_side

JOINT_ABOVE = 127
"""Grey values of a mask file above this are joint."""


@dataclass(frozen=True)
class JointMasks:
    """The masks that belong to knees.

    Attributes:
        positions: `(n,)` which knees have a mask, in rising order.
        joints: a `(height, width)` bool array each, at the size of the mask's file.
        left_out: one `ImageError` for each mask that cannot be used.
    """

    positions: np.ndarray
    joints: list[np.ndarray]
    left_out: list[ImageError]


def joint_masks(
    folder: Path, files: Sequence[str], image_shape: Callable[[int], tuple[int, int]]
) -> JointMasks:
    """Read the masks of a folder that have the name of a knee.

    Args:
        folder: of images named like the knees, `<id>R`, `<id>_L` and the like, whatever their
            suffix.
        files: the name of each knee's file.
        image_shape: from a knee's position to the height and width of its stored image, which
            must be those of its mask.

    Raises:
        InputError: no such folder, or none of its masks can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of masks")
    places = {id_and_side(file): place for place, file in enumerate(files)}
    found, left_out, strangers = {}, [], []
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    paths = [path for path in files if is_image_file(path)]
    reasons = {path: why_unread(path) for path in files if not is_image_file(path)}
    left_out += [ImageError(path, reason) for path, reason in reasons.items() if reason]
    for path in paths:
        try:
            place = places[id_and_side(path)]
            found[place] = _joint(path, image_shape(place))
        except KeyError:
            strangers.append(path)
        except ImageError as error:
            left_out.append(error)
    if strangers:
        more = f", nor of {len(strangers) - 1} more" if strangers[1:] else ""
        reason = f"no knee of this name{more} among those measured"
        left_out.append(ImageError(strangers[0], reason))
    if not found:
        reason = f" (the first: {left_out[0]})" if left_out else ""
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
        raise ImageError(path, "the mask marks nothing, or everything, as joint")
    return joint

