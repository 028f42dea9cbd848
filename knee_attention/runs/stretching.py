"""Notice data whose images do not have the shape of an experiment's or a model's knees."""

from pathlib import Path

import numpy as np

from knee_attention.datasets.dataset import is_hdf5, preparation_of
from knee_attention.datasets.layout import required_files
from knee_attention.errors import ImageError, InputError
from knee_attention.files import open_hdf5
from knee_attention.films.borders import without_frame
from knee_attention.films.image_files import read_image
from knee_attention.films.preparation import CROPS_IN_WORDS
from knee_attention.networks.backbones import BACKBONES
from knee_attention.runs.experiment import Experiment

SAMPLE = 20
"""Number of images that are looked at."""

NEARLY_SQUARE = 0.05
"""A square's height may differ from its width by this part of the width."""

USUAL_SIDE, CHEAP_SIDE = 224, 112
"""Sides of the images that are suggested for square crops, in pixels."""


def refuse_stretching(experiment: Experiment, size_given: bool) -> None:
    """Refuse square crops that count as half films, and images smaller than the network's.

    The public sets consist of square crops, which an experiment in the paper's setting would
    stretch to 320x224 pixels.

    Args:
        experiment: an experiment with data. Any `crop` but `auto` says what the images show.
        size_given: whether the user chose the image size.

    Raises:
        InputError: most images of a sample are square and of unknown crop, or would be stretched or
            enlarged to a size that the user did not choose; or the data cannot be used.
    """
    known = preparation_of(experiment.data).with_crop(experiment.crop).known_crop
    sizes = _sample_of_sizes(Path(experiment.data), "train")
    if not len(sizes):
        return
    height, width = np.median(sizes, axis=0).astype(int)
    square = _are_square(sizes)
    asked = experiment.image_size
    small = height < asked[0] or width < asked[1]
    size_missing = not size_given and (small or (square and asked[0] != asked[1]))
    smallest = BACKBONES[experiment.backbone].smallest
    found = f"{experiment.data}: its images are {height}x{width} pixels"
    would = f", and would become {asked[0]}x{asked[1]}" if size_missing else ""
    if square and (known is None or size_missing):
        side = max(smallest, min(USUAL_SIDE, height))
        options, cheaper = [] if known else ["--crop square"], ""
        if size_missing:
            options.append(f"--image-size {side} {side}")
            if side > CHEAP_SIDE:
                cheaper = (f" (or {CHEAP_SIDE} {CHEAP_SIDE}, for {(CHEAP_SIDE / side) ** 2:.0%} "
                           "of the time)")
        insist = (f"--image-size {asked[0]} {asked[1]} to stretch them" if known
                  else "--crop half if they are halves of films")
        raise InputError(f"{found}, square like crops of joints{would}; give {' '.join(options)}"
                         f"{cheaper}, or {insist}")
    if size_missing:
        own = f"{max(smallest, height)} {max(smallest, width)}"
        raise InputError(f"{found}{would}; give --image-size {own}, or --image-size {asked[0]} "
                         f"{asked[1]} to enlarge them")


def remark_on_shape(
    data: str, split: str, model: Path, crop: str | None, size: tuple[int, int]
) -> str:
    """A remark on images that do not have the shape of a model's training knees, or no text.

    Args:
        data: a data folder or HDF5 file. What it records of its crop was compared before.
        split: the split of the images.
        model: the model's name in the remark.
        crop: what the model's training knees show, one of `CROPS`; None if unknown.
        size: height and width of the network's image.

    Raises:
        InputError: the data cannot be used.
    """
    sizes = _sample_of_sizes(Path(data), split)
    if not len(sizes) or preparation_of(data).known_crop:
        return ""
    square = _are_square(sizes)
    if square == (crop == "square") or (crop is None and size[0] == size[1]):
        return ""
    height, width = np.median(sizes, axis=0).astype(int)
    learnt = CROPS_IN_WORDS[crop] if crop else f"images of {size[0]}x{size[1]} pixels"
    return (f"remark: {data}: its images are {height}x{width} pixels, but {model} learnt from "
            f"{learnt}; its grades of them may be wrong")


def _are_square(sizes: np.ndarray) -> bool:
    return bool(np.median(abs(sizes[:, 0] / sizes[:, 1] - 1)) <= NEARLY_SQUARE)


def _sample_of_sizes(data: Path, split: str) -> np.ndarray:
    """Heights and widths of some images without their borders, `(n, 2)` int."""
    if is_hdf5(data):
        with open_hdf5(data) as file:
            return np.array([file["images"].shape[1:3]])
    files = required_files(data, split)
    sizes = []
    for place in np.linspace(0, len(files) - 1, min(SAMPLE, len(files))).astype(int):
        try:
            sizes.append(without_frame(read_image(files[place].path))[0].shape[:2])
        except ImageError:  # it is listed when the images are read
            continue
    return np.array(sizes)
