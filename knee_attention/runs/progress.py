"""How a training goes and how long it takes: a bar in a terminal, lines in a log file."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

SILENCE = 60.0
"""A step that ends this many seconds after a log file's last line prints another one."""

TIMED_SECONDS, TIMED_STEPS = 5.0, 3
"""Time and number of steps from which the first estimate is made."""


class Progress:
    """Prints the progress of a training.

    After the first steps a line says how long an epoch and the whole training take. Each epoch ends
    with a line. Without a terminal, a long epoch also prints a line about once a minute.

    Args:
        epochs: the last epoch of the training.
        done: number of epochs that an earlier process has finished.
    """

    def __init__(self, epochs: int, done: int = 0):
        self.epochs = epochs
        self._epoch = done
        self._bar = None
        self._estimated = False
        self._said = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the progress of the training in the block."""
        try:
            yield
        finally:
            self._close_bar()

    def begin_epoch(self, steps: int) -> None:
        """Begin the next epoch.

        Args:
            steps: number of its steps.
        """
        self._epoch, self._step, self._steps = self._epoch + 1, 0, steps
        self._began = time.monotonic()
        self._bar = tqdm(total=steps, desc=self._title, leave=False, disable=None)

    def end_step(self, loss: float) -> None:
        """Count a step. Print the first estimate once it can be made, and a line in a long epoch.

        Args:
            loss: the mean loss of the epoch so far.
        """
        self._step += 1
        self._bar.update()
        self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        now = time.monotonic()
        if self._step == 1:  # the first step of a training also traces and compiles
            self._timed_from = now
            return
        step_seconds = (now - self._timed_from) / (self._step - 1)
        if self._step > TIMED_STEPS and now - self._timed_from >= TIMED_SECONDS:
            self._estimate(step_seconds * self._steps)
        if now - self._said >= SILENCE and not sys.stdout.isatty():
            left = duration((self._steps - self._step) * step_seconds)
            self._say(f"{self._title}: step {self._step} of {self._steps}, ends in {left}")

    def end_epoch(self, words: str) -> None:
        """Print the line of an epoch.

        Args:
            words: its losses and metrics.
        """
        seconds = time.monotonic() - self._began
        self._close_bar()
        self._estimate(seconds)
        left = self.epochs - self._epoch
        more = f"; at most {duration(left * seconds)} left" if left else ""
        self._say(f"{self._title} ({duration(seconds)}): {words}{more}")

    @property
    def _title(self) -> str:
        return f"epoch {self._epoch}/{self.epochs}"

    def _estimate(self, seconds: float) -> None:
        """Say once how long an epoch and the rest of the training take."""
        if self._estimated:
            return
        self._estimated = True
        epochs = self.epochs - self._epoch + 1
        if epochs > 1:
            self._say(f"an epoch takes about {duration(seconds)}, {epochs} epochs "
                      f"{duration(epochs * seconds)}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """A duration in two digits or so: `0.4 s`, `42 s`, `12 min`, `3.5 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
