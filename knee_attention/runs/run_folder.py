"""A run's folder: the one place where its files are named, read and written."""

import csv
import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import ImageError, InputError
from knee_attention.files import RUN_MODEL, read_json, write_json, write_table
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.folder_lock import LOCK_NAME, locked

if TYPE_CHECKING:  # pandas, which the command lines do not wait for
    from knee_attention.evidence.finished_run import FinishedRun
    from knee_attention.evidence.predictions import Predictions

ACCURACY_TOLERANCE = 0.002
"""How far accuracies of rounded probabilities may lie from those of a run: two grades that are
equally probable may change places."""


class RunFolder:
    """What lies in the folder of a run.

    Attributes:
        folder: the folder.
        experiment_file: what is run; the first file of a run.
        data_file: the images that a run on real knees began on, by name and content.
        checkpoint: the state of a training after its last epoch, until the run is finished.
        weights_checkpoint: the same of a training of the joint localiser.
        history: losses and accuracies, one row an epoch.
        turned: the photographic negatives among the images, if there are any.
        trimmed: the images that had a border of one grey, if there are any.
        unreadable: the images that were left out, if there are any.
        tensorboard: the folder of what TensorBoard shows, where that was asked for.
        model, keras_model: the trained network, twice.
        localiser: the trained joint localiser, instead of these.
        joints: the true and the found joint boxes, of a localiser.
        predictions_file: every knee's probabilities, of the split that is reported.
        results_file: what the network reaches; the last file of a run.
        environment_file: versions, device, command and times.
        expert_masks_file: attention on knees whose joint experts drew, where that was measured.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.experiment_file = self.folder / "experiment.json"
        self.data_file = self.folder / "data.csv"
        self.checkpoint = self.folder / "checkpoint.h5"
        self.weights_checkpoint = self.folder / "checkpoint.weights.h5"
        self.history = self.folder / "history.csv"
        self.turned = self.folder / "turned.csv"
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

    def figure(self, name: str) -> Path:
        """The PNG file of a figure."""
        return self.folder / "figures" / f"{name}.png"

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run."""
        return self.experiment_file.exists()

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.results_file.exists()

    def locked(self) -> AbstractContextManager[None]:
        """Make the folder, unless it is there, and keep other processes out; see `lock`."""
        return locked(self.folder)

    def begin(
        self, experiment: Experiment, turned: list[str], unreadable: Iterable[ImageError] = (),
        trimmed: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Say what is run, which of its images were photographic negatives, which had a border of
        one grey, and which were left out, and why.
        """
        write_json(self.experiment_file, experiment.as_json())
        for table, files in ((self.turned, turned), (self.trimmed, trimmed)):
            if files:
                write_table(table, ["file"], [{"file": file} for file in files])
        if unreadable:
            rows = [{"file": error.path, "reason": error.reason} for error in unreadable]
            write_table(self.unreadable, ["file", "reason"], rows)

    def write_predictions(self, predictions: "Predictions", chosen: str) -> None:
        """Keep every knee's probabilities; `chosen` is the output whose grades count."""
        from knee_attention.evidence.predictions import write_predictions

        write_predictions(predictions, chosen, self.predictions_file)

    def finish(self, results: dict, environment: dict) -> None:
        """Keep what was found and on what; the checkpoints have had their day."""
        write_json(self.environment_file, environment)
        write_json(self.results_file, results)
        for state in (self.checkpoint, self.weights_checkpoint):
            state.unlink(missing_ok=True)

    def seconds_trained(self) -> float:
        """How long the epochs took that lie behind, of a training that was killed."""
        begun = self.checkpoint.exists() or self.weights_checkpoint.exists()
        if not (begun and self.history.exists()):
            return 0.0
        with self.history.open(newline="", encoding="utf-8") as file:
            return sum(float(row["seconds"]) for row in csv.DictReader(file))

    def clear(self) -> None:
        """Remove what the folder holds; the folder stays, as it may be a link to elsewhere.

        Raises:
            InputError: something cannot be removed.
        """
        try:
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK_NAME:
                    path.unlink()
        except OSError as error:
            raise InputError(f"{self.folder} cannot be cleared: {error.strerror}") from None

    def refuse_overlap(
        self, data: Iterable[str | None], overwrite: bool, weights: str | None = None
    ) -> None:
        """Keep what a run reads apart from what it writes and may delete.

        Args:
            data: the folders and files of the data; None for phantoms.
            overwrite: whether the run's folder may be cleared.
            weights: the file or folder of the weights to start from, if there is one.

        Raises:
            InputError: the folder lies within the data, or holds what is to be read and would be
                deleted.
        """
        place, data = self.folder.resolve(), list(filter(None, data))
        for path in data:
            if place.is_relative_to(Path(path).resolve()):
                raise InputError(f"{self.folder}: lies within the data, {path}; choose another "
                                 "--output")
        for path in filter(None, (*data, weights)):
            there = overwrite and Path(path).exists()
            if there and Path(path).resolve().is_relative_to(place):
                raise InputError(f"{self.folder}: --overwrite would delete {path}, which is read; "
                                 "choose another --output")

    def results_of(self, experiment: Experiment) -> dict | None:
        """The results, if this very experiment is finished; None where there is something to do.

        Raises:
            InputError: the folder holds something else, or another experiment.
        """
        if not self.begun:
            if any(path.name != LOCK_NAME for path in self.folder.iterdir()):
                raise InputError(f"{self.folder}: holds other files and no run; choose another "
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

    def refuse_other(self, experiment: Experiment) -> None:
        """Keep a run from being continued, or shown, as another one.

        Raises:
            InputError: the folder holds another experiment, or a damaged one.
        """
        different = self.different_from(experiment)
        if different:
            name, (before, now) = next(iter(different.items()))
            raise InputError(f"{self.folder}: holds another experiment ({name} {before!r}, not "
                             f"{now!r}); choose another --output, or --overwrite")

    def different_from(self, experiment: Experiment) -> dict[str, tuple]:
        """The options in which the folder's run is another one: `{name: (held, asked for)}`.

        A run of an earlier version lacks options that came later; it ran as their defaults say.
        """
        held = type(experiment)().as_json() | self.read_experiment()
        return {
            name: (held.get(name), value)
            for name, value in experiment.as_json().items()
            if held.get(name) != value
        }

    def read_experiment(self) -> dict:
        """What was run, as `Experiment.as_json` has it.

        Raises:
            InputError: there is no run, or a damaged one.
        """
        if not self.folder.is_dir():
            if self.folder.exists():
                raise InputError(f"{self.folder}: expected a run's folder, not a file")
            raise InputError(f"{self.folder}: no such folder")
        if not self.begun:
            raise InputError(f"{self.folder}: a folder that holds no run (it has no "
                             f"{self.experiment_file.name})")
        return read_json(self.experiment_file)

    def read_results(self) -> dict:
        """What the run found.

        Raises:
            InputError: there is no run, or it is not finished, or damaged.
        """
        self.read_experiment()
        if not self.finished:
            raise InputError(f"{self.folder}: the run is not finished (it has no "
                             f"{self.results_file.name}); the command that started it continues it")
        return read_json(self.results_file)

    def read(self) -> "FinishedRun":
        """All that tables and the report take of a run.

        Raises:
            InputError: there is no finished run; files are missing or damaged; or the predictions
                are not those that the results were computed from.
        """
        from knee_attention.evidence.finished_run import FinishedRun
        from knee_attention.evidence.predictions import read_predictions

        found = FinishedRun(
            experiment=self.read_experiment(),
            results=self.read_results(),
            environment=_if_there(self.environment_file) or {},
            predictions=read_predictions(self.predictions_file),
            expert_masks=_if_there(self.expert_masks_file),
        )
        try:
            self._refuse_misfit(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.folder}: a damaged run or one of an earlier version ({error})"
                             ) from None
        return found

    def _refuse_misfit(self, found: "FinishedRun") -> None:
        from knee_attention.evidence.metrics import grade_metrics

        predictions = found.predictions
        if len(predictions) != found.results["knees"]:
            raise InputError(f"{self.folder}: {self.predictions_file.name} holds "
                             f"{len(predictions)} knees, {self.results_file.name} tells of "
                             f"{found.results['knees']}")
        predictions.of(found.chosen)
        tolerance = max(ACCURACY_TOLERANCE, 1.5 / len(predictions))
        for output, metrics in found.outputs.items():
            accuracy = grade_metrics(predictions.grades, predictions.of(output))["accuracy"]
            if abs(accuracy - metrics["accuracy"]) > tolerance:
                raise InputError(f"{self.folder}: by {self.predictions_file.name} {output} has an "
                                 f"accuracy of {accuracy:.3f}, {self.results_file.name} says "
                                 f"{metrics['accuracy']:.3f}")


def _if_there(path: Path) -> dict | None:
    return read_json(path) if path.exists() else None
