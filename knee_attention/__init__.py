"""Kellgren-Lawrence grades from knee radiographs with trainable attention branches.

Importing the package is instant: Keras is imported when a name that needs it is first used. To load
a saved model with `keras.saving.load_model`, first `import knee_attention.networks.layers`, which
makes the two layers of this project known to Keras.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # checkers do not run `__getattr__`
    from knee_attention.errors import InputError as InputError
    from knee_attention.films.legs import split_knees as split_knees
    from knee_attention.films.radiograph import prepare_knee as prepare_knee
    from knee_attention.grading.grader import load_grader as load_grader
    from knee_attention.networks.model import build_model as build_model
    from knee_attention.phantoms.film import phantom_film as phantom_film
    from knee_attention.runs.experiment import Experiment as Experiment

__version__ = "0.1.0"

_HOMES = {
    "Experiment": "knee_attention.runs.experiment",
    "InputError": "knee_attention.errors",
    "build_model": "knee_attention.networks.model",
    "load_grader": "knee_attention.grading.grader",
    "phantom_film": "knee_attention.phantoms.film",
    "prepare_knee": "knee_attention.films.radiograph",
    "split_knees": "knee_attention.films.legs",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
