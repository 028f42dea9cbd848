"""The state of a training after each epoch, in one file, so that a killed run continues."""

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


class Checkpoint(keras.callbacks.Callback):
    """Save everything an unbroken training depends on after each epoch, and the history as CSV.

    That is: the model's weights, the states that its dropout draws from, the optimizer's variables
    (with the learning rate), the best weights so far, what the two patient callbacks count, and the
    rows of the history. It must come last among the callbacks, because it reads and sets the
    others' state.

    Args:
        path: the file of the state.
        history_path: the CSV file of the history, one row an epoch.
        plateau: the callback that lowers the learning rate.
        stopping: the callback that stops early.
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
        self._restored = None

    def restore(self, model: keras.Model) -> None:
        """Put a compiled model into the saved state, if there is one.

        Raises:
            InputError: the file is damaged or of another model.
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
                drawing = _read(file["drawing"]) if "drawing" in file else []
            for variable, value in zip(model.optimizer.variables, values, strict=True):
                variable.assign(value)
            for variable, value in zip(_drawing(model), drawing, strict=bool(drawing)):
                variable.assign(value)
            self.finished = state["finished"]
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{self.path}: the saved state cannot be used ({error}); start again "
                             "with --overwrite") from None
        self._restored = (state, best_weights)
        write_table(self.history_path, list(self.rows[0]), self.rows)

    def on_train_begin(self, logs=None):
        if self._restored:
            state, self.stopping.best_weights = self._restored
            vars(self.plateau).update(state["plateau"])
            vars(self.stopping).update(state["stopping"])

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = round(time.perf_counter() - self._began, 2)
        values = {name: float(value) for name, value in logs.items()}
        if not (math.isfinite(values["loss"]) and math.isfinite(values["val_loss"])):
            raise InputError(f"epoch {epoch + 1}: the loss is no number any more, training has "
                             "diverged; try a lower --learning-rate or --precision float32")
        self.rows.append({"epoch": epoch + 1, "seconds": seconds, **values})
        self.finished = bool(self.model.stop_training)
        state = {
            "finished": self.finished,
            "plateau": {name: getattr(self.plateau, name) for name in PLATEAU_STATE},
            "stopping": {name: getattr(self.stopping, name) for name in STOPPING_STATE},
        }
        content = io.BytesIO()  # HDF5 itself crashes where a disk is full
        with h5py.File(content, "w") as file:
            file.attrs["state"] = json.dumps(state)
            file["history"] = json.dumps(self.rows)
            _write(file.create_group("weights"), self.model.get_weights())
            for name, variables in (("optimizer", self.model.optimizer.variables),
                                    ("drawing", _drawing(self.model))):
                _write(file.create_group(name), map(keras.ops.convert_to_numpy, variables))
            _write(file.create_group("best_weights"), self.stopping.best_weights)
        with written_whole(self.path) as beside:
            beside.write_bytes(content.getbuffer())
        write_table(self.history_path, list(self.rows[0]), self.rows)


def _drawing(model: keras.Model) -> list[keras.Variable]:
    """The states of the model's random generators, which are none of its weights."""
    weights = {id(weight) for weight in model.weights}
    return [state for state in model.non_trainable_variables if id(state) not in weights]


def _write(group: h5py.Group, arrays) -> None:
    for number, array in enumerate(arrays):
        group[f"{number:04d}"] = array


def _read(group: h5py.Group) -> list:
    return [group[name][()] for name in sorted(group)]
