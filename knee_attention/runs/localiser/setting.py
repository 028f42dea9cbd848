"""What a training of the joint localiser is asked for; Keras is not imported for it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError


@dataclass(frozen=True)
class LocaliserRun:
    """A training of the localiser; Antony et al. publish none of these numbers.

    Attributes:
        data: a folder of films; None for phantoms.
        boxes: the table of their joint boxes.
        films: phantoms to draw for training.
        epochs: of `steps` batches each; the rate falls along half a cosine over them.
        steps: batches an epoch.
        batch_size: images a batch.
        learning_rate: that of Adam at the start.
        precision: a Keras dtype policy, or `auto`.
        seed: what weights, films and their variations follow from.

    Raises:
        InputError: films without boxes, or boxes without films.
    """

    data: str | None = None
    boxes: str | None = None
    films: int = 600
    epochs: int = 20
    steps: int = 64
    batch_size: int = 16
    learning_rate: float = 2e-3
    precision: str = "auto"
    seed: int = 0

    name = "localiser"
    weights = None

    def __post_init__(self):
        if bool(self.data) != bool(self.boxes):
            raise InputError("--data needs --boxes, a table of the joints on those films, and "
                             "--boxes needs --data")

    @property
    def origin(self) -> str:
        """What its films are called in titles."""
        return "synthetic phantoms" if self.data is None else Path(self.data).name

    def as_json(self) -> dict:
        """All of this as `experiment.json` holds it."""
        return {"name": self.name, **dataclasses.asdict(self)}
