"""Save the state of a training after each epoch, so that a killed run can be resumed."""

import io
import json
import math
import time
from pathlib import Path

import h5py
import keras

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
        try:
            with open_hdf5(self.path) as file:
                state = json.loads(file.attrs["state"])
                self.rows = json.loads(file["history"][()])
                model.set_weights(_read(file["weights"]))
                values = _read(file["optimizer"])
                best_weights = _read(file["best_weights"])
                random_states = _read(file["drawing"]) if "drawing" in file else []
            for variable, value in zip(model.optimizer.variables, values, strict=True):
                variable.assign(value)
            states = _random_states(model)
            for variable, value in zip(states, random_states, strict=bool(random_states)):
                variable.assign(value)
            self.finished = state["finished"]
            self._restored = {
                self.plateau: {name: state["plateau"][name] for name in PLATEAU_STATE},
                self.stopping: {name: state["stopping"][name] for name in STOPPING_STATE}
                | {"best_weights": best_weights},
            }
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{self.path}: the saved state cannot be used ({error}); start again "
                             "with --overwrite") from None
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
        content = io.BytesIO()  # HDF5 crashes if it writes to a full disk
        with h5py.File(content, "w") as file:
            file.attrs["state"] = json.dumps(state)
            file["history"] = json.dumps(self.rows)
            _write(file.create_group("weights"), self.model.get_weights())
            for name, variables in (("optimizer", self.model.optimizer.variables),
                                    ("drawing", _random_states(self.model))):
                _write(file.create_group(name), map(keras.ops.convert_to_numpy, variables))
            _write(file.create_group("best_weights"), self.stopping.best_weights)
        with written_whole(self.path) as beside:
            beside.write_bytes(content.getbuffer())
        write_table(self.history_path, list(self.rows[0]), self.rows)


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """The states of the model's random generators, which `model.weights` does not contain."""
    weights = {id(weight) for weight in model.weights}
    return [state for state in model.non_trainable_variables if id(state) not in weights]


def _write(group: h5py.Group, arrays) -> None:
    for number, array in enumerate(arrays):
        group[f"{number:04d}"] = array


def _read(group: h5py.Group) -> list:
    return [group[name][()] for name in sorted(group)]
