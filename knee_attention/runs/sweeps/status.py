"""The progress of a sweep: its done, running, waiting and failed cells."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

CELL, REASON, WORKER = "cell", "reason", "worker"
"""Names of a trial's attributes in the database: its cell, why it failed, and who runs it."""

INTERRUPTED = "interrupted, or its workers died"
"""The reason shown if a failure has none."""


@dataclass(frozen=True)
class Running:
    """A cell that a worker is running.

    Attributes:
        cell: name of the cell.
        worker: machine and process of the worker.
        since: start time.
    """

    cell: str
    worker: str
    since: datetime


@dataclass(frozen=True)
class Status:
    """The state of a queue.

    Attributes:
        done: finished cells, in order.
        running: cells that a worker is running.
        waiting: cells that no worker has started.
        failed: `{cell: reason}`.
        mean: mean duration of the finished cells; None if there are none.
    """

    done: list[str] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    mean: timedelta | None = None

    @classmethod
    def of(cls, cells: Iterable[str], trials: Iterable) -> "Status":
        """The state of cells.

        Args:
            cells: their names, in order.
            trials: their trials in Optuna's database. A later trial of a state replaces an earlier.
        """
        by_cell = {}
        for trial in trials:
            by_cell.setdefault(trial.user_attrs[CELL], {})[trial.state.name] = trial
        times = [found["COMPLETE"].duration for found in by_cell.values() if "COMPLETE" in found]
        status = cls(mean=sum(times, timedelta()) / len(times) if times else None)
        for cell in cells:
            found = by_cell.get(cell, {})
            if "COMPLETE" in found:
                status.done.append(cell)
            elif "RUNNING" in found:
                trial = found["RUNNING"]
                worker = trial.user_attrs.get(WORKER, "a worker that has just begun")
                status.running.append(Running(cell, worker, trial.datetime_start))
            elif "FAIL" in found and "WAITING" not in found:
                status.failed[cell] = found["FAIL"].user_attrs.get(REASON, INTERRUPTED)
            else:
                status.waiting.append(cell)
        return status

    @property
    def left(self) -> timedelta | None:
        """Estimated remaining time with the current number of workers; None if unknown."""
        if self.mean is None or not self.running:
            return None
        return self.mean * (len(self.waiting) + len(self.running) / 2) / len(self.running)

    def __str__(self) -> str:
        lines = [f"done {len(self.done)}, running {len(self.running)}, waiting "
                 f"{len(self.waiting)}, failed {len(self.failed)}"]
        now = datetime.now()
        for running in self.running:
            minutes = (now - running.since).total_seconds() / 60
            lines.append(f"  running: {running.cell} on {running.worker}, since "
                         f"{running.since:%d %B %H:%M} ({minutes:.0f} min)")
        lines += [f"  failed: {cell}: {reason}" for cell, reason in self.failed.items()]
        if self.waiting:
            lines.append(f"  waiting: {', '.join(self.waiting)}")
        if self.left is not None:
            lines.append(f"  left: about {self.left.total_seconds() / 60:.0f} min at this pace")
        return "\n".join(lines)
