"""Where many runs stand: what is done, running, waiting and failed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Running:
    """A cell that somebody works at.

    Attributes:
        cell: its name.
        worker: the machine and the process.
        since: when it began.
    """

    cell: str
    worker: str
    since: datetime


@dataclass(frozen=True)
class Status:
    """Where a queue stands.

    Attributes:
        done: finished cells, in their order.
        running: those somebody works at.
        waiting: those nobody has begun.
        failed: `{cell: reason}`.
        mean: of the time that a finished cell took; None while none is finished.
    """

    done: list[str] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    mean: timedelta | None = None

    @property
    def left(self) -> timedelta | None:
        """The time that is left if as many work as now; None where that cannot be told."""
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
