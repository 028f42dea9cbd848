"""What a training of the joint localiser is asked for; Keras is not imported for it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.limits import BOX_KINDS


@dataclass(frozen=True)
class LocaliserRun:
    """A training of the localiser.

    Attributes:
        data: folders of films with known joint boxes; none for phantoms alone.
        boxes: the table of the joint boxes of each of `data`.
        box_kind: what the boxes of a table of ours are, one of `BOX_KINDS`.
        crops: a data folder of square crops of joints; None for none.
        distractors: a folder of images without a knee to be graded; None for drawn ones alone.
        implants: a folder of knees with a prosthesis or implant; None for drawn ones alone.
        films: phantoms to draw for training.
        epochs: of `steps` batches each; the rate falls along half a cosine over them.
        steps: batches an epoch.
        batch_size: images a batch.
        learning_rate: that of Adam at the start.
        precision: a Keras dtype policy, or `auto`.
        seed: what weights, films and their variations follow from.

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
            raise InputError("--data needs --boxes, a table of the joints on those films, and "
                             "--boxes needs --data")
        if self.box_kind not in BOX_KINDS:
            raise InputError(f"expected boxes of {', '.join(BOX_KINDS)}. "
                             f"Received: {self.box_kind!r}")

    @property
    def synthetic(self) -> bool:
        """Whether it learns from drawn images alone."""
        return not (self.data or self.crops or self.distractors or self.implants)

    @property
    def reads(self) -> list[str]:
        """The folders and files that it reads."""
        given = (*self.data, *self.boxes, self.crops, self.distractors, self.implants)
        return [place for place in given if place]

    @property
    def origin(self) -> str:
        """What its films are called in titles."""
        sets = [Path(place).name for place in (*self.data, self.crops) if place]
        return ", ".join(sets) if sets else "synthetic phantoms"

    def as_json(self) -> dict:
        """All of this as `experiment.json` holds it."""
        fields = {"name": self.name, **dataclasses.asdict(self)}
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in fields.items()}
