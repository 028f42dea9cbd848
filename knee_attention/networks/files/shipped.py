"""The models that ship with the package, by name."""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "pretrained"
DEFAULT = "kneekl-vgg16-multiloss"
"""What `grade` and `serve` take where no model is named."""


def model_path(given: str | os.PathLike) -> Path:
    """The file of a model that ships with the package, if that is what is named; else the path.

    A file or folder of that name in the working directory comes first.
    """
    shipped = FOLDER / f"{given}.h5"
    if Path(given).exists() or Path(given).name != str(given) or not shipped.is_file():
        return Path(given)
    return shipped
