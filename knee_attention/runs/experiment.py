"""An experiment, and run options that do not affect its results."""

import dataclasses
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from knee_attention.errors import InputError, how_to_install
from knee_attention.limits import ATTENTIONS, CROPS, KNEE_SIZE, POLARITIES
from knee_attention.networks.backbones import BACKBONES, imagenet_source
from knee_attention.networks.fusions import check_architecture, outputs_of, variant_of

CHOICES = {
    "precision": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    "batch_norm": ("precise", "moving"),
    "augment": ("flips", "strong", "wide"),
    "schedule": ("plateau", "cosine"),
    "polarity": POLARITIES,
    "crop": ("auto", *CROPS),
    "attention": ATTENTIONS,
    "targets": ("grades", "gaussian"),
}
"""`{attribute of Experiment: its allowed values}`."""

NAMED_WEIGHTS = ("scratch", "imagenet")
"""Values of `weights` that are not files."""

COUNTS = {"epochs": 0, "batch_size": 1, "patience": 1, "stability": 0}
"""Attributes that are whole numbers, and the least of each."""


class Settings(Protocol):
    """The settings of a training: an `Experiment` or a `LocaliserRun`.

    The class must be callable without arguments, which gives the default settings.
    """

    @property
    def name(self) -> str:
        """Name of the training."""

    def as_json(self) -> dict:
        """The content of `experiment.json`."""


@dataclass(frozen=True)
class Experiment:
    """The settings of one experiment. The defaults are the paper's (section 4).

    Attributes:
        backbone: a key of `BACKBONES`.
        branches: attention branches, from `att0` to `att2`; empty for a baseline.
        fusion: a key of `FUSIONS`: `single`, `early_fusion`, `multi_loss`; for a baseline `dense`,
            `joint` or `plain`.
        loss_weights: one per output, each above 0.
        data: a data folder or HDF5 file; None for phantoms.
        image_size: height and width in pixels.
        epochs: maximum number of epochs; 0 keeps `weights`, which must be those of a file.
        batch_size: knees per step.
        learning_rate: initial learning rate of Adam.
        patience: factor of the paper's patience for the plateau schedule and early stopping.
        precision: a Keras dtype policy, or `auto`.
        weights: initial weights: `scratch`, `imagenet`, or a file.
        batch_norm: `precise` (re-estimated before each validation) or `moving` (as in the paper).
        augment: `flips` (as in the paper), `strong` or `wide` (see `datasets/batches.py`).
        schedule: `plateau` (as in the paper), or `cosine`: half a cosine from the initial rate to
            zero over `epochs`.
        polarity: `auto` inverts photographic negatives; `as-is` changes no image.
        crop: what a knee image shows if the data do not record it: `half` a film, or a crop of the
            joint, `square` (the public set's) or `antony`. `auto` stands for the recorded crop or,
            without one, `half`. Phantoms are cropped accordingly.
        displace: whether the square crops of `data` are shrunk and set at different places on
            drawn legs (see `films/displacement.py`).
        attention: how masks are computed; one of `limits.ATTENTIONS`.
        targets: what the loss compares probabilities with: `grades`, the true grade alone (as in
            the paper), or `gaussian`, see `runs.training.NeighbouringGrades`.
        stability: rounds of stability training after the epochs, see `runs/stability.py`.
        teacher: the file of the model whose grades stability training teaches; None for the model
            itself, as it is after the epochs.
        flips: whether grades are averaged over each knee and its mirror image. It concerns the
            trained model, not its training.
        limit: maximum number of knees per split; None for all.
        seed: seed of the initial weights, the order of the knees, augmentation, phantoms and the
            choice of a limit; 0 to 2^32 - 1.

    Raises:
        InputError: settings that cannot run with any data.
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
    displace: bool = False
    attention: str = "local"
    targets: str = "grades"
    stability: int = 0
    teacher: str | None = None
    flips: bool = False
    limit: int | None = None
    seed: int = 0

    def __post_init__(self):
        check_architecture(self.backbone, self.branches, self.fusion, self.image_size)
        if self.weights == "imagenet":
            imagenet_source(self.backbone)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise _expected(f"{' or '.join(choices)} as {name}", getattr(self, name))
        for name, least in COUNTS.items():
            if not _is_whole(getattr(self, name), least):
                raise _expected(f"a whole number from {least} as {name}", getattr(self, name))
        if self.epochs == 0 and self.weights in NAMED_WEIGHTS:
            raise InputError("--epochs 0 trains nothing, so it needs the --weights of a trained "
                             "model")
        if self.stability and not self.branches:
            raise InputError(f"--stability needs attention branches, which {self.name} lacks")
        if self.teacher and not self.stability:
            raise InputError("--teacher needs --stability")
        if self.limit is not None and not _is_whole(self.limit, 1):
            raise _expected("a whole number from 1 as limit, or None", self.limit)
        if self.displace and (self.data is None or self.crop not in ("auto", "square")):
            raise InputError("--displace needs square crops of joints: give --data DIR "
                             "--crop square")
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
        """Backbone and variant, such as `vgg16_multiloss`; for a baseline only the backbone."""
        return f"{self.backbone}_{self.variant}" if self.branches else self.backbone

    @property
    def origin(self) -> str:
        """Name of the data in titles."""
        return "synthetic phantoms" if self.data is None else Path(self.data).name

    @property
    def data_seed(self) -> int:
        """The seed of the phantoms or of the choice of a limit.

        It is 0 for all real knees, which do not depend on a seed, so all seeds share them.
        """
        return self.seed if self.data is None or self.limit is not None else 0

    @property
    def output_weights(self) -> dict[str, float]:
        """`{output: weight of its loss}`."""
        outputs = outputs_of(self.fusion, self.branches)
        return dict(zip(outputs, self.loss_weights, strict=True))

    @property
    def phantom_setting(self) -> dict:
        """Settings that replace the paper's when the experiment runs on phantoms."""
        return dict(BACKBONES[self.backbone].phantom_setting)

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """The only image size that its network takes; None if it takes any."""
        return BACKBONES[self.backbone].image_size

    def as_json(self) -> dict:
        """The content of `experiment.json`."""
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


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that are not part of the experiment.

    A killed run can be resumed with other options.

    Attributes:
        overwrite: run a finished experiment again.
        pdf: also write the figures as PDF.
        devices: number of devices of this machine that share the batches, or `all`; None for one.
        tensorboard: also write the losses and accuracies of each epoch for TensorBoard.

    Raises:
        InputError: `tensorboard` is True, but TensorBoard is not installed.
    """

    overwrite: bool = False
    pdf: bool = False
    devices: int | str | None = None
    tensorboard: bool = False

    def __post_init__(self):
        if self.tensorboard and find_spec("tensorboard") is None:
            raise InputError(f"--tensorboard needs TensorBoard: {how_to_install('tensorboard')}")


DEFAULT_OPTIONS = RunOptions()


MOST_CHANGES = 3
"""Number of settings that a message about another experiment names."""


def changes_in_words(different: dict[str, tuple]) -> str:
    """Different settings as `epochs 2 -> 3, image size 96 96 -> 112 112`; at most three of them.

    Args:
        different: `{name: (value before, value now)}`. The value None is shown as `not given`.
    """
    changes = [f"{name.replace('_', ' ')} {_shown(before)} -> {_shown(now)}"
               for name, (before, now) in different.items()]
    more = len(changes) - MOST_CHANGES
    return ", ".join(changes[:MOST_CHANGES] + ([f"{more} more"] if more > 0 else []))


def _shown(value) -> str:
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
