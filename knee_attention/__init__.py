"""Kellgren-Lawrence grades from knee radiographs with trainable attention branches.

Importing the package is instant: a name that needs Keras imports it at its first use.
After `import keras`, importing the package also registers its layers with Keras, so that
`keras.saving.load_model` loads saved models.
"""

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # type checkers do not run `__getattr__`
    from knee_attention.errors import InputError as InputError
    from knee_attention.films.legs import split_knees as split_knees
    from knee_attention.films.radiograph import prepare_knee as prepare_knee
    from knee_attention.grading.grader import load_grader as load_grader
    from knee_attention.networks.attention import attention_branch as attention_branch
    from knee_attention.networks.attention import grade_head as grade_head
    from knee_attention.networks.attention import with_masks as with_masks
    from knee_attention.networks.files.model_files import load_model as load_model
    from knee_attention.networks.model import attach_attention as attach_attention
    from knee_attention.networks.model import build_model as build_model
    from knee_attention.phantoms.film import phantom_film as phantom_film
    from knee_attention.runs.experiment import Experiment as Experiment

__version__ = "0.1.0"

_HOMES = {
    "Experiment": "knee_attention.runs.experiment",
    "InputError": "knee_attention.errors",
    "attach_attention": "knee_attention.networks.model",
    "attention_branch": "knee_attention.networks.attention",
    "build_model": "knee_attention.networks.model",
    "grade_head": "knee_attention.networks.attention",
    "load_grader": "knee_attention.grading.grader",
    "load_model": "knee_attention.networks.files.model_files",
    "phantom_film": "knee_attention.phantoms.film",
    "prepare_knee": "knee_attention.films.radiograph",
    "split_knees": "knee_attention.films.legs",
    "with_masks": "knee_attention.networks.attention",
}
__all__ = list(_HOMES)

if sys.modules.get("keras"):
    importlib.import_module("knee_attention.networks.layers")


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])
