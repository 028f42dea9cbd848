"""Options that several commands share, and argparse types that check a value."""

import argparse
from pathlib import Path

from knee_attention.limits import CROPS, POLARITIES
from knee_attention.networks.files.shipped import model_path


def add_polarity(parser: argparse.ArgumentParser) -> None:
    """Declare `--polarity`, which every command has that looks at films."""
    parser.add_argument("--polarity", choices=POLARITIES, default="auto",
                        help="turn photographic negatives, or leave every image as it is "
                        "(default: auto)")


def add_crop(parser: argparse.ArgumentParser) -> None:
    """Declare `--crop`, for a model whose file does not say what its knees showed."""
    parser.add_argument("--crop", choices=("auto", *CROPS), default="auto",
                        help="what the model learnt from, where its file does not say: halves of "
                        "films, or crops of joints (square: those of the public set), which are "
                        "then cut out of a film (default: auto, halves)")


def named(text: str) -> str:
    """A name or an address, for argparse: no empty text, as of a shell's variable that is not set.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a name, not an empty text")
    return text


def as_path(text: str) -> Path:
    """A file or a folder, for argparse: an empty text would be the working directory."""
    return Path(named(text))


def positive_number(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, not {text}")
    return number


def seed_number(text: str) -> int:
    """A seed that NumPy takes, for argparse."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^32 - 1, not {text}")
    return number


def rate(text: str) -> float:
    """A number above 0, for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text}")
    return number


def count(text: str) -> int:
    """A whole number from 0, for argparse."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, not {text}")
    return number


def model_named(text: str) -> Path:
    """A model file, or a model that ships with the package by its name, for argparse."""
    return model_path(named(text))
