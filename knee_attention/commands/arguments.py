"""Options that several commands share, and argparse types that check a value."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from knee_attention.errors import InputError
from knee_attention.files import make_folder, write_json
from knee_attention.limits import CROPS, DECISIONS, POLARITIES
from knee_attention.networks.files.location import DEFAULT, model_path


def add_model_and_data(
    parser: argparse.ArgumentParser, writes: str, limit: str = "", needs_data: bool = False
) -> None:
    """Add `MODEL`, `--data`, `--split`, `--limit`, `--seed`, `--polarity` and `--output`, for
    commands that measure a model.

    Args:
        parser: the parser to add them to.
        writes: the files that the command writes into `--output`, for the help.
        limit: further words of the help on `--limit`.
        needs_data: require `--data`, for a command that cannot measure on phantoms.
    """
    from knee_attention.datasets.layout import SPLITS

    parser.add_argument("model", metavar="MODEL", type=model_named,
                        help="model.h5, model.keras, the folder of a finished run, or the name "
                        "of the model that ships with the package")
    default = "" if needs_data else " (default: the phantoms of the model's training)"
    parser.add_argument("--data", type=named, metavar="DIR|FILE.h5", required=needs_data,
                        help="folder train|validation|test/<grade>/<image>, or .h5 of "
                        f"make_dataset.py{default}")
    parser.add_argument("--split", choices=SPLITS, default="test",
                        help="the split to measure on (default: test)")
    parser.add_argument("--limit", type=positive_number, metavar="N",
                        help=f"at most N knees, with the same proportions of grades{limit}")
    parser.add_argument("--seed", type=seed_number, default=0 if needs_data else None, metavar="N",
                        help="seed of --limit (default: 0)" if needs_data else
                        "seed of phantoms and --limit (default: that of the training)")
    add_polarity(parser)
    parser.add_argument("--output", type=as_path, metavar="DIR",
                        help=f"write {writes} into this folder")


def refuse_missing(models: Iterable[Path]) -> None:
    """Refuse models that do not exist.

    Raises:
        InputError: no such model file or run.
    """
    for path in models:
        if not path.exists():
            raise InputError(f"{path}: no such model file or run")


def prepare_output(folder: Path | None) -> None:
    """Create the output folder, if one is given; refuse the folder of a run.

    Raises:
        InputError: it cannot be created, or it is the folder of a run.
    """
    from knee_attention.runs.run_folder import RunFolder

    if folder:
        make_folder(folder)
        if RunFolder(folder).exists:
            raise InputError(f"{folder}: the folder of a run; choose another --output")


def keep_with_run(path: Path, content: dict) -> bool:
    """Write a JSON file into the folder of a run, which may be read-only.

    Returns:
        whether it is written; if not, the reason is printed.
    """
    try:
        write_json(path, content)
    except InputError as error:
        print(f"not kept with the run: {error}", file=sys.stderr)
        return False
    return True


def add_polarity(parser: argparse.ArgumentParser) -> None:
    """Add `--polarity`, for commands that read films."""
    parser.add_argument("--polarity", choices=POLARITIES, default="auto",
                        help="auto inverts photographic negatives; as-is leaves every image as it "
                        "is (default: auto)")


def add_grading_model(parser: argparse.ArgumentParser) -> None:
    """Add `MODEL`, by default the model that ships, for commands that wait for films."""
    parser.add_argument("model", nargs="?", default=DEFAULT, type=grading_model, metavar="MODEL",
                        help="an .h5, .keras or .onnx file, the folder of a run, or a model that "
                        f"ships with the package (default: {DEFAULT})")


def add_grading(parser: argparse.ArgumentParser) -> None:
    """Add `--decide`, `--coverage`, `--polarity` and `--crop`, for commands that grade films."""
    parser.add_argument("--decide", choices=DECISIONS,
                        help="how the grade follows from the probabilities: the most probable one; "
                        "balanced, which divides them by a power of the training frequencies and "
                        "so favours rare grades; or their median (default: the model file's, or "
                        "else probable)")
    parser.add_argument("--coverage", type=share, metavar="SHARE",
                        help="share of knees whose prediction set holds the true grade, from 0.01 "
                        "to 0.99 (default: 0.9, if the model file has prediction sets)")
    add_polarity(parser)
    add_crop(parser)


def grader_of(options: argparse.Namespace):
    """The grader of `options.model`, with the options of `add_grading`.

    Raises:
        InputError: as `grading.grader.load_grader`.
    """
    from knee_attention.startup import start_for

    start_for(options.model)
    from knee_attention.grading.grader import load_grader

    return load_grader(
        options.model, options.polarity, options.crop, options.decide, options.coverage
    )


def add_crop(parser: argparse.ArgumentParser) -> None:
    """Add `--crop`, for model files that do not record what their training knees show."""
    parser.add_argument("--crop", choices=("auto", *CROPS), default="auto",
                        help="what the model's training knees show, if its file does not record "
                        "it: half of a film, or a crop of the joint (square: as in the public set),"
                        " which is then cropped from films (default: auto, half)")


def add_parametric_map(parser: argparse.ArgumentParser) -> None:
    """Add `--parametric-map`, for commands that write DICOM objects."""
    parser.add_argument("--parametric-map", action="store_true",
                        help="also make a Parametric Map of the attention for every DICOM film, "
                        "which viewers lay over the film; only for models of joint crops")


def named(text: str) -> str:
    """An argparse type: text that is not empty, as an unset shell variable would be."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, not an empty text")
    return text


def as_path(text: str) -> Path:
    """An argparse type: a path. Empty text, which would mean the working directory, is refused."""
    return Path(named(text))


def absolute_path(text: str) -> str:
    """An argparse type: an absolute path without `..`, which a run's folder records."""
    return os.path.abspath(named(text))


def _number(
    kind: type, accepts: Callable[[Any], bool], expected: str
) -> Callable[[str], Any]:
    """An argparse type: a number of this kind that `accepts`; `expected` describes it."""

    def read(text: str):
        with suppress(ValueError):
            number = kind(text)
            if accepts(number):
                return number
        raise argparse.ArgumentTypeError(f"expected {expected}, not {text}")

    return read


positive_number = _number(int, lambda number: number >= 1, "a whole number from 1")
count = _number(int, lambda number: number >= 0, "a whole number from 0")
seed_number = _number(
    int, lambda number: 0 <= number < 2**32, "a whole number from 0 to 2^32 - 1"
)
"""Argparse type: a seed that NumPy accepts."""
rate = _number(float, lambda number: 0 < number < math.inf, "a number above 0")
share = _number(float, lambda number: 0 < number < 1 and number == round(number, 2),
                "a share from 0.01 to 0.99 with two decimals")


def model_named(text: str) -> Path:
    """An argparse type: a model file, or the name of a model that ships, for its `.h5` file."""
    return model_path(named(text))


def grading_model(text: str) -> Path:
    """An argparse type: a model file, or the name of a model that ships, for its `.onnx` file."""
    return model_path(named(text), ".onnx")
