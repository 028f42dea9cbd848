"""The settings of a localiser's training. This module does not import Keras."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.limits import BOX_KINDS


@dataclass(frozen=True)
class LocaliserRun:
    """The settings of a localiser's training.

    Attributes:
        data: folders of films with known joint boxes; empty for only phantoms.
        boxes: tables of joint boxes, one for each folder of `data`.
        box_kind: kind of the boxes in the project's own tables, one of `BOX_KINDS`.
        crops: a data folder of square crops of joints, or None.
        distractors: a folder of images without a knee; None for only synthetic ones.
        implants: a folder of knees with implants; None for only synthetic ones.
        films: number of training phantoms.
        epochs: number of epochs. The learning rate falls along half a cosine.
        steps: batches per epoch.
        batch_size: images per batch.
        learning_rate: initial learning rate of Adam.
        precision: a Keras dtype policy, or `auto`.
        seed: seed of the weights, the films and their augmentation.

    Raises:
        InputError: films without boxes, boxes without films, or an unknown kind of box.
    """

    data: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    box_kind: str = "square"
    crops: str | None = None
    distractors: str | None = None
    implants: str | None = None
    films: int = 200
    epochs: int = 24
    steps: int = 80
    batch_size: int = 16
    learning_rate: float = 3e-3
    precision: str = "auto"
    seed: int = 0

    name = "localiser"

    def __post_init__(self):
        if len(self.data) != len(self.boxes):
            raise InputError("give as many --boxes (tables of the joints) as --data (folders of "
                             "their films)")
        if self.box_kind not in BOX_KINDS:
            raise InputError(f"expected {' or '.join(BOX_KINDS)} as the kind of boxes. "
                             f"Received: {self.box_kind!r}")

    @property
    def synthetic(self) -> bool:
        """Whether all training images are synthetic."""
        return not (self.data or self.crops or self.distractors or self.implants)

    @property
    def reads(self) -> list[str]:
        """The folders and files of the training."""
        given = (*self.data, *self.boxes, self.crops, self.distractors, self.implants)
        return [place for place in given if place]

    @property
    def origin(self) -> str:
        """Name of the data in titles."""
        sets = [Path(place).name for place in (*self.data, self.crops) if place]
        return ", ".join(sets) if sets else "synthetic phantoms"

    def as_json(self) -> dict:
        """The content of `experiment.json`."""
        fields = {"name": self.name, **dataclasses.asdict(self)}
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in fields.items()}
