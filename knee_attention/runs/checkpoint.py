"""Save the state of a training after each epoch, so that a killed run can be resumed."""

import io
import json
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np

from knee_attention.errors import InputError
from knee_attention.files import open_hdf5, write_table, written_whole

PLATEAU_STATE = ("best", "wait", "cooldown_counter")
STOPPING_STATE = ("best", "wait", "best_epoch", "stopped_epoch")
"""Attributes of the two Keras callbacks that are saved and restored."""


class Checkpoint(keras.callbacks.Callback):
    """Keras callback that saves the state of a training and its history after each epoch.

    The state contains the model's weights, the random states of its dropout, the optimizer's
    variables (with the learning rate), the best weights, the counters of the two other callbacks,
    and the history. A resumed training therefore ends like an uninterrupted one. The callback must
    be the last one, because it reads and sets the state of the others.

    Args:
        path: file of the state.
        history_path: CSV file of the history, one row per epoch.
        plateau: the callback that lowers the learning rate.
        stopping: the callback of early stopping.
    """

    def __init__(
        self,
        path: Path,
        history_path: Path,
        plateau: keras.callbacks.ReduceLROnPlateau,
        stopping: keras.callbacks.EarlyStopping,
    ):
        super().__init__()
        self.path = path
        self.history_path = history_path
        self.plateau = plateau
        self.stopping = stopping
        self.rows = []
        self.finished = False
        self._restored = {}

    def restore(self, model: keras.Model) -> None:
        """Restore the saved state of a compiled model, if there is one.

        Raises:
            InputError: the file is damaged or belongs to another model.
        """
        if not self.path.exists():
            return
        model.optimizer.build(model.trainable_variables)
        with state_opened(self.path) as file:
            state = json.loads(file.attrs["state"])
            self.rows = json.loads(file["history"][()])
            model.set_weights(read_arrays(file["weights"]))
            read_optimizer(file["optimizer"], model.optimizer)
            best_weights = read_arrays(file["best_weights"])
            random_states = read_arrays(file["drawing"]) if "drawing" in file else []
            states = _random_states(model)
            for variable, value in zip(states, random_states, strict=bool(random_states)):
                variable.assign(value)
            self.finished = state["finished"]
            self._restored = {
                self.plateau: {name: state["plateau"][name] for name in PLATEAU_STATE},
                self.stopping: {name: state["stopping"][name] for name in STOPPING_STATE}
                | {"best_weights": best_weights},
            }
        write_table(self.history_path, list(self.rows[0]), self.rows)

    def on_train_begin(self, logs=None):
        # The other callbacks reset their state when the training begins.
        for callback, attributes in self._restored.items():
            for name, value in attributes.items():
                setattr(callback, name, value)

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = round(time.perf_counter() - self._began, 2)
        values = {name: float(value) for name, value in logs.items()}
        if not (math.isfinite(values["loss"]) and math.isfinite(values["val_loss"])):
            raise InputError(f"epoch {epoch + 1}: the loss is not finite, the training diverged; "
                             "try a lower --learning-rate or --precision float32")
        self.rows.append({"epoch": epoch + 1, "seconds": seconds, **values})
        self.finished = bool(self.model.stop_training)
        state = {
            "finished": self.finished,
            "plateau": {name: getattr(self.plateau, name) for name in PLATEAU_STATE},
            "stopping": {name: getattr(self.stopping, name) for name in STOPPING_STATE},
        }
        with state_written(self.path) as file:
            file.attrs["state"] = json.dumps(state)
            file["history"] = json.dumps(self.rows)
            write_arrays(file, "weights", self.model.get_weights())
            for name, variables in (("optimizer", self.model.optimizer.variables),
                                    ("drawing", _random_states(self.model))):
                write_arrays(file, name, map(keras.ops.convert_to_numpy, variables))
            write_arrays(file, "best_weights", self.stopping.best_weights)
        write_table(self.history_path, list(self.rows[0]), self.rows)


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """The states of the model's random generators, which `model.weights` does not contain."""
    weights = {id(weight) for weight in model.weights}
    return [state for state in model.non_trainable_variables if id(state) not in weights]


@contextmanager
def state_opened(path: Path) -> Iterator[h5py.File]:
    """A saved state, to be read in the block.

    Raises:
        InputError: the file is damaged or belongs to another model.
    """
    try:
        with open_hdf5(path) as file:
            yield file
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: the saved state cannot be used ({error}); start again with "
                         "--overwrite") from None


@contextmanager
def state_written(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to write a state into. It appears at `path` when the block ends."""
    content = io.BytesIO()  # HDF5 crashes if it writes to a full disk
    with h5py.File(content, "w") as file:
        yield file
    with written_whole(path) as beside:
        beside.write_bytes(content.getbuffer())


def write_arrays(file: h5py.File, name: str, arrays: Iterable[np.ndarray]) -> None:
    """Write arrays into a new group of a file."""
    group = file.create_group(name)
    for number, array in enumerate(arrays):
        group[f"{number:04d}"] = array


def read_arrays(group: h5py.Group) -> list[np.ndarray]:
    """The arrays that `write_arrays` wrote."""
    return [group[name][()] for name in sorted(group)]


def read_optimizer(group: h5py.Group, optimizer: keras.Optimizer) -> None:
    """Set the variables of a built optimizer to the arrays of a group.

    Raises:
        ValueError: there are more arrays, or fewer.
    """
    for variable, value in zip(optimizer.variables, read_arrays(group), strict=True):
        variable.assign(value)
