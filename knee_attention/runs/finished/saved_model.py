"""A saved model for evaluation, from a file or a run's folder, and the knees that it is given."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras

from knee_attention.datasets.dataset import is_hdf5, load_dataset, preparation_of
from knee_attention.datasets.knees import Knees, joint_masks
from knee_attention.errors import InputError
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import classifying
from knee_attention.files import open_hdf5
from knee_attention.films.image_files import read_image
from knee_attention.films.preparation import Preparation, refuse_differences
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.networks.fusions import variant_of
from knee_attention.phantoms.dataset import phantom_dataset
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
        except Exception as refusal:  # Keras' exceptions about files share no closer base class
            if "`Lambda` layer" in str(refusal):
                raise InputError(f"{given}: a network with a Lambda layer, which may hold any "
                                 "code, so it is not loaded") from None
            raise error from None
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (1, 3):
        raise InputError(f"{given}: expected a network with one grey or colour image as input. "
                         f"Received: {shape}")
    return SavedModel(given, given, {"image_size": shape[1:3]}), network


@dataclass(frozen=True)
class KneeSource:
    """A source of knees at any image size.

    Attributes:
        data: a data folder or HDF5 file; None for phantoms.
        split: `train`, `validation` or `test`.
        limit: maximum number of knees; None for all.
        seed: seed of the phantoms and of the choice of a limit.
        polarity: `auto` inverts photographic negatives; `as-is` changes no image.
        crop: crop of the phantoms.
        preparation: how the knees of `data` are prepared; None: as the data record.
        masks: a folder of joint masks; knees without a mask are skipped.
    """

    data: str | None
    split: str
    limit: int | None
    seed: int
    polarity: str = "auto"
    crop: str = "auto"
    preparation: Preparation | None = None
    masks: Path | None = None
    _prepared: dict[tuple[int, int], Knees] = field(default_factory=dict, compare=False)

    @property
    def title(self) -> str:
        """Name of the data in messages."""
        return self.data or "synthetic phantoms"

    @property
    def name(self) -> str:
        """Name of the data without its path."""
        return os.path.basename(os.path.abspath(self.title))

    def knees(self, size: tuple[int, int]) -> Knees:
        """The knees at a height and width in pixels."""
        if size not in self._prepared:
            asked = (size, self.limit, self.seed, (self.split,))
            if self.data:
                dataset = load_dataset(self.data, *asked, self.polarity, self.preparation)
            else:
                dataset = phantom_dataset(*asked, crop=self.crop)
            for error in dataset.unreadable:
                print(f"skipped {error}")
            if dataset.manifest_remark:
                print(dataset.manifest_remark)
            knees = dataset.splits[self.split]
            if self.masks:
                knees = self._with_masks(knees)
            if knees.inverted:
                print(f"inverted photographic negatives: {len(knees.inverted)}")
            self._prepared[size] = knees
        return self._prepared[size]

    def _with_masks(self, knees: Knees) -> Knees:
        stored = None
        if is_hdf5(Path(self.data)):
            with open_hdf5(self.data) as file:
                stored = file["images"].shape[1:]

        def image_shape(place: int) -> tuple[int, int]:
            return stored or read_image(Path(self.data) / knees.files[place]).shape

        found = joint_masks(self.masks, knees.files, image_shape)
        for error in found.left_out:
            print(f"skipped {error}")
        return replace(knees.take(found.positions), masks=found.joints)


def knee_source(
    saved: SavedModel, data, split, limit, seed, polarity="auto", masks=None
) -> KneeSource:
    """The knees for the evaluation of a model: `data` or, by default, the model's own phantoms.

    Raises:
        InputError: `data` is None and the model was not trained on phantoms, or `masks` without
            `data` or for displaced joints.
    """
    seed = saved.experiment.get("seed", 0) if seed is None else seed
    if data is None:
        if not saved.description.get("synthetic"):
            trained = saved.experiment.get("data")
            origin = f"was trained on {trained}" if trained else "does not record its training data"
            raise InputError(f"{saved.given}: the model {origin}; give the knees as --data")
        limit = saved.experiment.get("limit") if limit is None else limit
    if masks and data is None:
        raise InputError("--masks need real knees; give them as --data")
    trained = Preparation.recorded(saved.description, saved.given)
    if masks and trained.displaced:
        raise InputError(f"{saved.given}: the model was trained on displaced joints, whose places "
                         "are known; leave out --masks")
    preparation = preparation_like(data, trained) if data else None
    crop = trained.known_crop or "auto"
    return KneeSource(data, split, limit, seed, polarity, crop, preparation, masks)


def preparation_like(data: str, trained: Preparation) -> Preparation:
    """The preparation that data record, with displaced joints if the training knees had them.

    Raises:
        InputError: the data cannot be used, or must be displaced and are not square crops.
    """
    recorded = preparation_of(data)
    if trained.displaced:
        return replace(recorded.with_crop("square"), displaced=True)
    return recorded


def refuse_other_preparations(saved: list[SavedModel], data: str | None) -> None:
    """Refuse models whose training knees were prepared in another way than the data.

    Raises:
        InputError: two of them differ; the message names both.
    """
    prepared = [(model.given, Preparation.recorded(model.description, model.given))
                for model in saved]  # fmt: skip
    if data:
        prepared.append((data, preparation_like(data, prepared[0][1])))
    refuse_differences(prepared)
