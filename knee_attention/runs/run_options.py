"""Run options that do not affect the results."""

from dataclasses import dataclass
from importlib.util import find_spec

from knee_attention.errors import InputError, how_to_install


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
