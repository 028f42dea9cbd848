"""The knees that saved models are measured on, at whatever size each model takes."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.hdf5 import StoredImages
from knee_attention.datasets.joint_masks import joint_masks
from knee_attention.datasets.knees import Knees
from knee_attention.errors import InputError
from knee_attention.films.image_files import read_image
from knee_attention.films.preparation import Preparation
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.finished.saved_model import SavedModel


@dataclass
class KneeSource:
    """Where the knees come from, prepared at the size a model asks for.

    Attributes:
        data: a data folder or HDF5 file; None draws phantoms.
        split: `train`, `validation` or `test`.
        limit: at most this many knees.
        seed: of the phantoms, and of what the limit keeps.
        polarity: `auto` turns photographic negatives, `as-is` takes every image as it is.
        crop: what is cut out of phantoms.
        masks: a folder of joint masks; only knees with a mask are taken, and these are theirs.
    """

    data: str | None
    split: str
    limit: int | None
    seed: int
    polarity: str = "auto"
    crop: str = "auto"
    masks: Path | None = None
    _prepared: dict[tuple[int, int], Knees] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What they are called on the screen."""
        return self.data or "synthetic phantoms"

    @property
    def name(self) -> str:
        """What they are called where their folder's place is of no matter."""
        return os.path.basename(os.path.abspath(self.title))

    def knees(self, size: tuple[int, int]) -> Knees:
        """The same knees at another size."""
        if size not in self._prepared:
            asked = (size, self.limit, self.seed, (self.split,))
            if self.data:
                dataset = load_dataset(self.data, *asked, self.polarity)
            else:
                dataset = phantom_dataset(*asked, crop=self.crop)
            for error in dataset.unreadable:
                print(f"left out {error}")
            if dataset.manifest_remark:
                print(dataset.manifest_remark)
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
    crop = Preparation.recorded(saved.description, saved.given).known_crop or "auto"
    return KneeSource(data, split, limit, seed, polarity, crop, masks)
