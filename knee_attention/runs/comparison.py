"""Saved models measured on the same knees: one by one, together, and against each other."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.hdf5 import StoredImages
from knee_attention.datasets.joint_masks import joint_masks
from knee_attention.datasets.knees import Knees
from knee_attention.errors import InputError
from knee_attention.evidence.ensemble import ensemble
from knee_attention.evidence.evaluation import measured, split_results
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.predictions import ENSEMBLE, Predictions
from knee_attention.files import read_json
from knee_attention.films.image_files import read_image
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.networks.fusions import variant_of
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.measure import localise, look, predict

EXPERT_MASKS = "expert_masks.json"
"""In a run's folder: its attention on knees whose joint experts drew."""


@dataclass(frozen=True)
class SavedModel:
    """A model on a disk.

    Attributes:
        path: its file.
        given: the file or run folder as the user named it.
        description: what it says of itself.
    """

    path: Path
    given: Path
    description: dict

    @property
    def experiment(self) -> dict:
        """What it was trained with; empty where that is not known."""
        return self.description.get("experiment") or {}

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
        outputs = list(predictions.with_ensemble())
        named = self.description.get("chosen")
        return named if named in outputs else outputs[-1]


def open_saved(given: str | Path) -> SavedModel:
    """A model file, or the folder of a finished run.

    Raises:
        InputError: no such file, no model, or a run that is not finished.
    """
    given = Path(given)
    if not given.is_dir():
        return SavedModel(given, given, read_description(given))
    if not (given / "experiment.json").exists():
        raise InputError(f"{given}: a folder that holds no run (it has no experiment.json)")
    if not (given / "results.json").exists():
        raise InputError(f"{given}: the run is not finished (it has no results.json); the command "
                         "that started it continues it")
    path = given / "model.h5"
    experiment, results = (read_json(given / f"{name}.json") for name in ("experiment", "results"))
    try:
        known = {name: experiment[name] for name in ("name", "backbone", "fusion", "branches")}
        known |= {name: results[name] for name in ("chosen", "synthetic")}
    except KeyError as error:
        raise InputError(f"{given}: a damaged run ({error})") from None
    known["experiment"] = experiment
    return SavedModel(path, given, {**read_description(path), **known})


@dataclass
class KneeSource:
    """Where the knees come from, prepared at the size a model asks for.

    Attributes:
        data: a data folder or HDF5 file; None draws phantoms.
        split: `train`, `validation` or `test`.
        limit: at most this many knees.
        seed: of the phantoms, and of what the limit keeps.
        polarity: `auto` turns photographic negatives, `as-is` takes every image as it is.
        masks: a folder of joint masks; only knees with a mask are taken, and these are theirs.
    """

    data: str | None
    split: str
    limit: int | None
    seed: int
    polarity: str = "auto"
    masks: Path | None = None
    _prepared: dict[tuple[int, int], Knees] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What they are called on the screen."""
        return self.data or "synthetic phantoms"

    def knees(self, size: tuple[int, int]) -> Knees:
        """The same knees at another size."""
        if size not in self._prepared:
            asked = (size, self.limit, self.seed, (self.split,))
            if self.data:
                dataset = load_dataset(self.data, *asked, self.polarity)
            else:
                dataset = phantom_dataset(*asked)
            for error in dataset.unreadable:
                print(f"left out {error}")
            knees = dataset.splits[self.split]
            if self.masks:
                knees = self._with_masks(knees)
            if knees.turned:
                print(f"photographic negatives, turned: {len(knees.turned)}")
            self._prepared[size] = knees
        return self._prepared[size]

    def _with_masks(self, knees: Knees) -> Knees:
        def image_shape(place: int) -> tuple[int, int]:
            if isinstance(knees.images, StoredImages):
                return knees.images.stored.shape[1:]
            return read_image(Path(self.data) / knees.files[place]).shape

        found = joint_masks(self.masks, knees.files, image_shape)
        for error in found.left_out:
            print(f"left out {error}")
        return replace(knees.take(found.positions), masks=found.joints)


def knee_source(
    saved: SavedModel, data, split, limit, seed, polarity="auto", masks=None
) -> KneeSource:
    """The knees to measure on: those asked for or, without `data`, the model's own phantoms.

    Raises:
        InputError: no data, and the model was not trained on phantoms.
    """
    seed = saved.experiment.get("seed", 0) if seed is None else seed
    if data is None:
        if not saved.description.get("synthetic"):
            trained = saved.experiment.get("data")
            origin = f"was trained on {trained}" if trained else "does not say what it saw"
            raise InputError(f"{saved.given}: the model {origin}; name the knees with --data")
        limit = saved.experiment.get("limit") if limit is None else limit
    if masks and data is None:
        raise InputError("--masks are those of real knees: name these with --data")
    return KneeSource(data, split, limit, seed, polarity, masks)


@dataclass(frozen=True)
class Measured:
    """A model and what it says of the knees.

    Attributes:
        label: its name, or where several share that, the path as the user gave it.
        predictions: of every output.
        chosen: the output that stands for it.
        results: as `results.json` holds them.
    """

    label: str
    predictions: Predictions
    chosen: str
    results: dict


def measure(saved: SavedModel, source: KneeSource, label: str) -> Measured:
    """Load a model and measure it."""
    model = load_model(saved.path)
    knees = source.knees(tuple(saved.description["image_size"]))
    predictions = predict(model, knees)
    results = _results(saved, source, predictions) | {"parameters": model.count_params()}
    if knees.masks is not None:
        masks = look(model, knees)
        results["localisation"] = localise(masks, knees)
        if source.masks:
            results["localisation_widened"] = localise(masks, knees, tolerant=True)
    return Measured(label, predictions, results["chosen"], results)


def _results(saved: SavedModel, source: KneeSource, predictions: Predictions) -> dict:
    return {
        **saved.identity(),
        "synthetic": source.data is None,
        "data": source.data,
        "split": source.split,
        "limit": source.limit,
        "seed": source.seed,
        "knees": len(predictions),
        "subjects": len(set(predictions.subjects)),
        "chosen": saved.chosen(predictions),
        source.split: split_results(predictions),
    }


def joined(models: list[Measured]) -> Predictions:
    """The ensemble of several models: the mean of their values before the softmax.

    A model of several branches counts once, with the mean of its branches.
    """
    knees = models[0].predictions
    own = [list(model.predictions.with_ensemble().values())[-1] for model in models]
    return Predictions(knees.files, knees.subjects, knees.grades, {ENSEMBLE: ensemble(own)})


def compare(models: list[Measured]) -> dict:
    """Several models on the same knees.

    Returns:
        `{"models": [label], "ensemble": metrics of all together, "differences": [first, second
        and the fields of `paired_differences`]}`: the first model against each other one, and the
        ensemble against the first.
    """
    first, together = models[0], joined(models)
    pairs = [
        {
            "first": f"{first.label} {first.chosen}",
            "second": f"{other.label} {other.chosen}",
            **paired_differences(first.predictions, first.chosen, other.predictions, other.chosen),
        }
        for other in models[1:]
    ]
    pairs.append(
        {
            "first": "all together",
            "second": f"{first.label} {first.chosen}",
            **paired_differences(together, ENSEMBLE, first.predictions, first.chosen),
        }
    )
    return {
        "models": [model.label for model in models],
        ENSEMBLE: measured(together.grades, together.of(ENSEMBLE), together.subjects),
        "differences": pairs,
    }
