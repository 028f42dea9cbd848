"""The progress of a sweep: its done, running, waiting and failed cells."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


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
