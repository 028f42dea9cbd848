"""One experiment of the paper: what distinguishes it from the others."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.limits import CROPS, KNEE_SIZE, POLARITIES
from knee_attention.networks.backbones import BACKBONES, imagenet_source
from knee_attention.networks.fusions import check_architecture, outputs_of, variant_of

CHOICES = {
    "precision": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    "batch_norm": ("precise", "moving"),
    "augment": ("flips", "strong"),
    "schedule": ("plateau", "cosine"),
    "polarity": POLARITIES,
    "crop": ("auto", *CROPS),
}
"""What those attributes of an `Experiment` may be that have few values."""

NAMED_WEIGHTS = ("scratch", "imagenet")
"""Weights to start from that are no file's."""

COUNTS = ("epochs", "batch_size", "patience")
"""Its attributes that are whole numbers from 1."""


@dataclass(frozen=True)
class Experiment:
    """What distinguishes one experiment; the defaults are the paper's (section 4).

    Attributes:
        backbone: a key of `BACKBONES`.
        branches: attention branches, from `att0` to `att2`; none of a baseline.
        fusion: a key of `FUSIONS`: `single`, `early_fusion`, `multi_loss`, or a baseline's `dense`
            or `joint`.
        loss_weights: one an output, each above 0.
        data: a data folder or HDF5 file; None for phantoms.
        image_size: height and width in pixels.
        epochs: at most this many.
        batch_size: knees a step.
        learning_rate: that of Adam at the start.
        patience: how many times the paper's epochs without progress to wait.
        precision: a Keras dtype policy, or `auto`.
        weights: `scratch`, `imagenet`, or a file to start from.
        batch_norm: `precise` (re-estimated before each validation) or `moving` (as in the paper).
        augment: `flips` (the paper's), or `strong`, as `datasets/augmentation.py` says.
        schedule: `plateau` (the paper's), or `cosine`: the rate falls along half a cosine to
            nothing over `epochs`.
        polarity: `auto` turns photographic negatives, `as-is` leaves every image as it is.
        crop: what the knees show, where the data do not say: `half` of a film, or a crop of the
            joint, `square` (the public set's) or `antony`; `auto`, what the data say, else halves.
            Of phantoms this is cut out.
        limit: at most this many knees a split; None for all.
        seed: what the initial weights, the order of the knees, their augmentation, phantoms and
            the choice of a limit follow from; 0 to 2^32 - 1.

    Raises:
        InputError: what is asked for cannot be run, whatever the data.
    """

    backbone: str = "vgg16"
    branches: tuple[str, ...] = ("att0",)
    fusion: str = "single"
    loss_weights: tuple[float, ...] = (1.0,)
    data: str | None = None
    image_size: tuple[int, int] = KNEE_SIZE
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
    crop: str = "auto"
    limit: int | None = None
    seed: int = 0

    def __post_init__(self):
        check_architecture(self.backbone, self.branches, self.fusion, self.image_size)
        if self.weights == "imagenet":
            imagenet_source(self.backbone)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise _expected(f"{' or '.join(choices)} as {name}", getattr(self, name))
        for name in COUNTS:
            if not _is_whole(getattr(self, name), 1):
                raise _expected(f"a whole number from 1 as {name}", getattr(self, name))
        if self.limit is not None and not _is_whole(self.limit, 1):
            raise _expected("a whole number from 1 as limit, or None", self.limit)
        if not _is_whole(self.seed, 0) or self.seed >= 2**32:
            raise _expected("a whole number from 0 to 2^32 - 1 as seed", self.seed)
        if not _is_positive(self.learning_rate):
            raise _expected("a number above 0 as learning_rate", self.learning_rate)
        outputs = outputs_of(self.fusion, self.branches)
        if len(self.loss_weights) != len(outputs) or not all(map(_is_positive, self.loss_weights)):
            raise _expected(f"a loss weight above 0 for each of {', '.join(outputs)}",
                            self.loss_weights)

    @property
    def variant(self) -> str:
        """`att0`, `att1`, `att2`, `early_fusion`, `multiloss` or `baseline`."""
        return variant_of(self.fusion, self.branches)

    @property
    def name(self) -> str:
        """Backbone and variant, as in `vgg16_multiloss`; a baseline's backbone has no variants."""
        return f"{self.backbone}_{self.variant}" if self.branches else self.backbone

    @property
    def origin(self) -> str:
        """What its knees are called in titles."""
        return "synthetic phantoms" if self.data is None else Path(self.data).name

    @property
    def output_weights(self) -> dict[str, float]:
        """The model's outputs and the weights of their losses."""
        outputs = outputs_of(self.fusion, self.branches)
        return dict(zip(outputs, self.loss_weights, strict=True))

    @property
    def phantom_setting(self) -> dict:
        """Where the experiment differs from the paper when it has only phantoms."""
        return dict(BACKBONES[self.backbone].phantom_setting)

    def as_json(self) -> dict:
        """All of this as `experiment.json` holds it."""
        fields = dataclasses.asdict(self).items()
        return {"name": self.name} | {
            name: list(value) if isinstance(value, tuple) else value for name, value in fields
        }


def _is_whole(value, least: int) -> bool:
    return isinstance(value, int) and value >= least


def _is_positive(value) -> bool:
    return isinstance(value, (int, float)) and 0 < value < math.inf


def _expected(what: str, received) -> InputError:
    return InputError(f"expected {what}. Received: {received!r}")
