"""How a run is done, which changes nothing of what it finds."""

from dataclasses import dataclass
from importlib.util import find_spec

from knee_attention.errors import InputError


@dataclass(frozen=True)
class RunOptions:
    """What a command line asks for that is no part of the experiment.

    A killed run may be continued in another run_options.

    Attributes:
        overwrite: begin a finished run anew.
        pdf: also draw the figures as PDF.
        devices: how many devices of this machine share the batches, `all`, or None for what the
            backend does by itself, which is to take one.
        tensorboard: also write each epoch's losses and accuracies for TensorBoard.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """

    overwrite: bool = False
    pdf: bool = False
    devices: int | str | None = None
    tensorboard: bool = False

    def __post_init__(self):
        if self.tensorboard and find_spec("tensorboard") is None:
            raise InputError('--tensorboard needs TensorBoard: pip install '
                             '"knee_attention[tensorboard]"')


DEFAULT_OPTIONS = RunOptions()
"""Nothing asked for."""
