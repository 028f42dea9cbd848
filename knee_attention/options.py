"""What options of several commands may say, and how argparse reads it; who does what they say holds
to the same words and limits.
"""

import argparse
from pathlib import Path

POLARITIES = ("auto", "as-is")
"""What to do about photographic negatives: turn them, or leave every image as it is."""

VIEWS = ("auto", "bilateral", "single", "crop")
"""What an image shows: both knees, one, or the crop of a joint; or that is to be found out."""

SPLIT_METHODS = ("auto", "middle")
"""Where a film of both knees is cut: in the gap between the legs, or in the middle (section 4)."""

CROPS = ("half", "square", "antony")
"""What is cut out of a film for a knee: half of the film (the paper's), or its joint alone, as the
public set has it or as Antony's networks take it."""

FITS = ("stretch", "pad")
"""How a knee is brought to a size: stretched (the paper's), or with its proportions, on black."""

EQUALIZATIONS = ("hist", "clahe", "none")
"""How grey values are spread: by the whole histogram (the paper's), by tiles, or not at all."""

KNEE_SIZE = (320, 224)
"""Height and width of a prepared knee in pixels (section 4)."""

LOCALISER_SIDE = 256
"""Height and width in pixels of what the joint localiser takes."""

BOX_KINDS = ("square", "joint")
"""What the boxes of a table are: squares as the crops of the public set, or joint boxes as in the
public table of OAI films, which are a little larger."""

SMALLEST_SIDE = 16
"""An image narrower or lower than this many pixels holds no knee."""

LARGEST_SIDE = 4096
"""No knee has more pixels a side: a file that asks for them is damaged, and the masks of such
images alone would fill the memory."""


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


def digits(number: float) -> str:
    """The shortest text that `float` reads as this very number: 0.5, 1, 0.1234561."""
    return repr(float(number)).removesuffix(".0")


def count(text: str) -> int:
    """A whole number from 0, for argparse."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, not {text}")
    return number
