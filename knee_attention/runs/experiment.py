"""One experiment of the paper: what distinguishes it from the others."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

VARIANTS = {"early_fusion": "early_fusion", "multi_loss": "multiloss"}
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class Experiment:
    """What distinguishes one experiment; the defaults are the paper's (section 4).

    Attributes:
        backbone: `vgg16`, `resnet50`, `antony_clsf` or `antony_extended`.
        branches: attention branches, from `att0` to `att2`.
        fusion: `single`, `early_fusion` or `multi_loss`.
        loss_weights: one a head.
        data: a data folder or HDF5 file; None for phantoms.
        image_size: height and width in pixels.
        epochs: at most this many.
        batch_size: knees a step.
        learning_rate: of Adam, at the start.
        patience: how many times the paper's epochs without progress to wait.
        precision: a Keras dtype policy, or `auto`.
        weights: `scratch`, `imagenet`, or a file.
        batch_norm: `precise` (re-estimated before each validation) or `moving` (as in the paper).
        augment: `flips` (the paper's), or `strong`, as `films/augmentation.py` says.
        schedule: `plateau` (the paper's), or `cosine`: the rate falls along half a cosine to
            nothing over `epochs`.
        polarity: `auto` turns photographic negatives, `as-is` leaves every image as it is.
        limit: at most this many knees a split.
        seed: of everything random.
    """

    backbone: str = "vgg16"
    branches: tuple[str, ...] = ("att0",)
    fusion: str = "single"
    loss_weights: tuple[float, ...] = (1.0,)
    data: str | None = None
    image_size: tuple[int, int] = (320, 224)
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-5
    patience: int = 1
    precision: str = "auto"
    weights: str = "scratch"
    batch_norm: str = "precise"
    augment: str = "flips"
    schedule: str = "plateau"
    polarity: str = "auto"
    limit: int | None = None
    seed: int = 0

    @property
    def variant(self) -> str:
        """`att0`, `att1`, `att2`, `early_fusion` or `multiloss`."""
        return VARIANTS.get(self.fusion, self.branches[0])

    @property
    def name(self) -> str:
        """Backbone and variant, as in `vgg16_multiloss`."""
        return f"{self.backbone}_{self.variant}"

    @property
    def origin(self) -> str:
        """What its knees are called in titles."""
        return "synthetic phantoms" if self.data is None else Path(self.data).name

    @property
    def output_weights(self) -> dict[str, float]:
        """The model's outputs and the weights of their losses."""
        outputs = ("kl",) if self.fusion == "early_fusion" else self.branches
        return dict(zip(outputs, self.loss_weights, strict=True))

    def as_json(self) -> dict:
        """All of this as `experiment.json` holds it."""
        fields = dataclasses.asdict(self).items()
        return {"name": self.name} | {
            name: list(value) if isinstance(value, tuple) else value for name, value in fields
        }


_SMALL = {"image_size": (160, 112), "epochs": 8, "batch_size": 8, "learning_rate": 5e-4}
PHANTOM_SETTINGS = {
    "vgg16": {"image_size": (96, 64), "epochs": 4, "batch_size": 4, "learning_rate": 1.5e-4},
    "resnet50": {"image_size": (128, 96), "epochs": 4, "batch_size": 8, "learning_rate": 3e-4},
    "antony_clsf": _SMALL,
    "antony_extended": _SMALL,
}
"""Where phantoms differ from the paper: a setting that two cores finish in minutes."""
