"""Kellgren-Lawrence grades from knee radiographs with trainable attention branches.

Importing the package is instant: Keras is imported when a name that needs it is first used. The
package's layers are known to Keras as soon as both are imported, in either order, so saved models
load with plain `keras.saving.load_model`.
"""

import importlib

from knee_attention.registration import register_layers

_HOMES = {
    "Experiment": "knee_attention.experiment",
    "InputError": "knee_attention.errors",
    "build_model": "knee_attention.networks.model",
    "load_grader": "knee_attention.inference",
    "phantom_film": "knee_attention.films.phantom",
    "prepare_knee": "knee_attention.films.radiograph",
    "split_knees": "knee_attention.films.radiograph",
}
__all__ = list(_HOMES)

register_layers()


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
