"""The folder of a run: names of its files, reading and writing."""

import csv
import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import ImageError, InputError
from knee_attention.files import RUN_MODEL, read_json, write_json, write_table
from knee_attention.runs.experiment import Settings, changes_in_words
from knee_attention.runs.folder_lock import LOCK_NAME, locked

if TYPE_CHECKING:  # pandas, which command lines do not wait for
    from knee_attention.evidence.finished_run import FinishedRun
    from knee_attention.evidence.predictions import Predictions


class RunFolder:
    """The folder of a run.

    Attributes:
        folder: the folder.
        experiment_file: the settings of the run; its first file.
        data_file: names and checksums of the real knees at the start of the run.
        checkpoint: state of the training after its last epoch; kept while epochs can follow.
        weights_checkpoint: the same for a training of the localiser.
        stability_state: the same for stability training.
        history: losses and accuracies, one row per epoch.
        inverted: list of the inverted photographic negatives, if there are any.
        trimmed: list of the images whose uniform border was removed, if there are any.
        unreadable: list of the skipped images, if there are any.
        tensorboard: folder of the TensorBoard logs, if requested.
        model, keras_model: the trained network in two formats.
        localiser: the trained localiser, for a training of the localiser.
        joints: true and found joint boxes, for a training of the localiser.
        predictions_file: probabilities of every knee of the reported split.
        results_file: metrics; the last file of a run.
        environment_file: versions, device, command and times.
        expert_masks_file: localisation scores on joints drawn by experts, if measured.
        audit_file: the audit of the attention, if there is one.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.experiment_file = self.folder / "experiment.json"
        self.data_file = self.folder / "data.csv"
        self.checkpoint = self.folder / "checkpoint.h5"
        self.weights_checkpoint = self.folder / "checkpoint.weights.h5"
        self.stability_state = self.folder / "stability.h5"
        self.history = self.folder / "history.csv"
        self.inverted = self.folder / "inverted.csv"
        self.trimmed = self.folder / "trimmed.csv"
        self.unreadable = self.folder / "unreadable.csv"
        self.tensorboard = self.folder / "tensorboard"
        self.model = self.folder / RUN_MODEL
        self.keras_model = self.folder / "model.keras"
        self.localiser = self.folder / "localiser.onnx"
        self.joints = self.folder / "joints.csv"
        self.predictions_file = self.folder / "predictions.csv"
        self.results_file = self.folder / "results.json"
        self.environment_file = self.folder / "environment.json"
        self.expert_masks_file = self.folder / "expert_masks.json"
        self.audit_file = self.folder / "audit.json"

    def figure(self, name: str) -> Path:
        """The PNG file of a figure."""
        return self.folder / "figures" / f"{name}.png"

    @property
    def exists(self) -> bool:
        """Whether the folder contains a run."""
        return self.experiment_file.exists()

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return self.results_file.exists()

    def locked(self) -> AbstractContextManager[None]:
        """Create the folder if needed, and lock it for this process; see `folder_lock`."""
        return locked(self.folder)

    def begin(
        self, experiment: Settings, inverted: list[str], unreadable: Iterable[ImageError] = (),
        trimmed: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Write the settings and the lists of inverted, skipped and trimmed images.

        `results.json` of a finished run that is continued is deleted.
        """
        self.results_file.unlink(missing_ok=True)
        write_json(self.experiment_file, experiment.as_json())
        for table, files in ((self.inverted, inverted), (self.trimmed, trimmed)):
            if files:
                write_table(table, ["file"], [{"file": file} for file in files])
        if unreadable:
            rows = [{"file": error.path, "reason": error.reason} for error in unreadable]
            write_table(self.unreadable, ["file", "reason"], rows)

    def write_predictions(self, predictions: "Predictions", chosen: str) -> None:
        """Write `predictions.csv`; `chosen` is the output that grades."""
        from knee_attention.evidence.predictions import write_predictions

        write_predictions(predictions, chosen, self.predictions_file)

    def finish(self, results: dict, environment: dict, keep_state: bool = False) -> None:
        """Write environment.json and results.json; delete the checkpoints unless `keep_state`."""
        write_json(self.environment_file, environment)
        write_json(self.results_file, results)
        if not keep_state:
            self.delete_state()

    def delete_state(self) -> None:
        """Delete the checkpoints, without which a finished run cannot go on."""
        for state in (self.checkpoint, self.weights_checkpoint, self.stability_state):
            state.unlink(missing_ok=True)

    def seconds_trained(self) -> float:
        """Seconds that the epochs of a saved training took; 0 without one."""
        saved = self.checkpoint.exists() or self.weights_checkpoint.exists()
        if not (saved and self.history.exists()):
            return 0.0
        with self.history.open(newline="", encoding="utf-8") as file:
            return sum(float(row["seconds"]) for row in csv.DictReader(file))

    def clear(self) -> None:
        """Delete the content of the folder, but not the folder, which may be a symbolic link.

        Raises:
            InputError: a file cannot be deleted.
        """
        try:
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK_NAME:
                    path.unlink()
        except OSError as error:
            raise InputError(f"{self.folder} cannot be cleared: {error.strerror}") from None

    def results_of(self, experiment: Settings) -> dict | None:
        """The results of an experiment; None if it is not finished.

        Raises:
            InputError: the folder contains other files or another experiment.
        """
        if not self.exists:
            if any(path.name != LOCK_NAME for path in self.folder.iterdir()):
                raise InputError(f"{self.folder}: contains other files and no run; choose another "
                                 "--output")
            return None
        self.refuse_other(experiment)
        if not self.finished:
            return None
        results = read_json(self.results_file)
        if results.get("name") != experiment.name or results.get("split") not in results:
            raise InputError(f"{self.results_file}: a damaged file or that of another run; "
                             "--overwrite runs this one again")
        return results

    def refuse_other(
        self, experiment: Settings, advice: str = "choose another --output, or --overwrite"
    ) -> None:
        """Refuse a folder with the run of another experiment.

        Args:
            experiment: the experiment that should run here.
            advice: what the user can do, for the message.

        Raises:
            InputError: the folder contains another experiment or a damaged one.
        """
        different = self.different_from(experiment)
        if different:
            raise InputError(f"{self.folder}: contains another experiment "
                             f"({changes_in_words(different)}); {advice}")

    def different_from(self, experiment: Settings) -> dict[str, tuple]:
        """The settings that differ from an experiment: `{name: (in the folder, in experiment)}`.

        Settings that a run of an earlier version lacks have their default values.
        """
        held = type(experiment)().as_json() | self.read_experiment()
        return {
            name: (held.get(name), value)
            for name, value in experiment.as_json().items()
            if held.get(name) != value
        }

    def read_experiment(self) -> dict:
        """The settings of the run, as `Experiment.as_json` returns them.

        Raises:
            InputError: there is no run, or it is damaged.
        """
        if not self.folder.is_dir():
            if self.folder.exists():
                raise InputError(f"{self.folder}: expected a run's folder, not a file")
            raise InputError(f"{self.folder}: no such folder")
        if not self.exists:
            raise InputError(f"{self.folder}: a folder without a run (it has no "
                             f"{self.experiment_file.name})")
        return read_json(self.experiment_file)

    def read_results(self) -> dict:
        """The content of `results.json`.

        Raises:
            InputError: there is no run, or it is unfinished or damaged.
        """
        self.read_experiment()
        if not self.finished:
            raise InputError(f"{self.folder}: the run is not finished (it has no "
                             f"{self.results_file.name}); run the same command to resume it")
        return read_json(self.results_file)

    def read(self) -> "FinishedRun":
        """The content of a finished run, for tables and the report.

        Raises:
            InputError: there is no finished run, files are missing or damaged, or the predictions
                do not match the results.
        """
        from knee_attention.evidence.finished_run import (
            FinishedRun,
            estimates_by_mask,
            refuse_mismatch,
        )
        from knee_attention.evidence.predictions import read_predictions

        try:
            found = FinishedRun(
                experiment=self.read_experiment(),
                results=self.read_results(),
                environment=_if_there(self.environment_file) or {},
                predictions=read_predictions(self.predictions_file),
                expert_masks=_if_there(self.expert_masks_file),
                audit=estimates_by_mask(_if_there(self.audit_file) or {}),
            )
            refuse_mismatch(found, self.predictions_file, self.results_file)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.folder}: a damaged run or one of an earlier version ({error})"
                             ) from None
        return found


def _if_there(path: Path) -> dict | None:
    return read_json(path) if path.exists() else None
