"""A saved model for evaluation: a model file, or the folder of a finished run."""

from dataclasses import dataclass
from pathlib import Path

import keras

from knee_attention.errors import InputError
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import classifying
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.networks.fusions import variant_of
from knee_attention.runs.run_folder import RunFolder


@dataclass(frozen=True)
class SavedModel:
    """A saved model.

    Attributes:
        path: the model file.
        given: the file or run folder given by the user.
        description: the model's description. Entries of the run's folder take precedence.
    """

    path: Path
    given: Path
    description: dict

    @property
    def experiment(self) -> dict:
        """The settings of its training; empty if unknown."""
        return self.description.get("experiment") or {}

    @property
    def name(self) -> str:
        """The name that the model file records; otherwise that of the file."""
        return self.description.get("name") or self.given.stem

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of its input in pixels."""
        return tuple(self.description["image_size"])

    def identity(self) -> dict:
        """The entries of `results.json` about the model itself; unknown ones are None."""
        known = self.description
        return {
            "name": self.name,
            "backbone": known.get("backbone"),
            "variant": variant_of(known["fusion"], known["branches"]),
            "model": str(self.given),
        }

    def chosen(self, predictions: Predictions) -> str:
        """The output chosen on validation; if unknown, the ensemble or the only classifier."""
        outputs = predictions.with_ensemble()
        named = self.description.get("chosen")
        return named if named in outputs else list(classifying(outputs))[-1]


def open_saved(given: str | Path) -> SavedModel:
    """Open a model file, or the folder of a finished run.

    Raises:
        InputError: no such file, not a model, or an unfinished run.
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


def open_with_network(given: str | Path) -> tuple[SavedModel, keras.Model]:
    """Open a model, and load its network.

    A `.keras` file may also hold another network with the branches of `attach_attention`. Keras
    loads it, in the mode that refuses code in the file.

    Raises:
        InputError: as `open_saved`.
    """
    given = Path(given)
    try:
        saved = open_saved(given)
        return saved, load_model(saved.path)
    except InputError as error:
        if given.suffix != ".keras":
            raise
        try:
            network = keras.saving.load_model(given, compile=False)
        except Exception:  # the exceptions of Keras about files share no closer base class
            raise error from None
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (1, 3):
        raise InputError(f"{given}: expected a network with one grey or colour image as input. "
                         f"Received: {shape}")
    return SavedModel(given, given, {"image_size": shape[1:3]}), network
