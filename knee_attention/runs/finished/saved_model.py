"""A saved model to be measured again: a file, or the folder of a finished run."""

from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import classifying
from knee_attention.networks.files.model_files import read_description
from knee_attention.networks.fusions import variant_of
from knee_attention.runs.run_folder import RunFolder


@dataclass(frozen=True)
class SavedModel:
    """A model on a disk.

    Attributes:
        path: its file.
        given: the file or run folder as the user named it.
        description: what it says of itself; of a run, what its folder says comes first.
    """

    path: Path
    given: Path
    description: dict

    @property
    def experiment(self) -> dict:
        """What it was trained with; empty where that is not known."""
        return self.description.get("experiment") or {}

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the knees it takes."""
        return tuple(self.description["image_size"])

    def identity(self) -> dict:
        """What `results.json` says of the model itself, as far as it is known."""
        known = self.description
        return {
            "name": known.get("name") or self.given.stem,
            "backbone": known.get("backbone"),
            "variant": variant_of(known["fusion"], known["branches"]),
            "model": str(self.given),
        }

    def chosen(self, predictions: Predictions) -> str:
        """The output validation chose; where nobody knows, the ensemble, never a test's best."""
        outputs = predictions.with_ensemble()
        named = self.description.get("chosen")
        return named if named in outputs else list(classifying(outputs))[-1]


def open_saved(given: str | Path) -> SavedModel:
    """A model file, or the folder of a finished run.

    Raises:
        InputError: no such file, no model, or a run that is not finished.
    """
    given = Path(given)
    if not given.is_dir():
        return SavedModel(given, given, read_description(given))
    run = RunFolder(given)
    experiment, results = run.read_experiment(), run.read_results()
    try:
        known = {name: experiment[name] for name in ("name", "backbone", "fusion", "branches")}
        known |= {name: results[name] for name in ("chosen", "synthetic")}
    except KeyError as error:
        raise InputError(f"{given}: a damaged run ({error})") from None
    known["experiment"] = experiment
    return SavedModel(run.model, given, {**read_description(run.model), **known})
