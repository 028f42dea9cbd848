"""Many runs as a queue that any number of processes and machines works through.

Optuna keeps it in a database, as a durable queue and not as a sampler: every cell of a table or a
search is enqueued once by its name, a worker takes the next one, and what a dead worker held is
taken again. A run's folder is named by its cell, so that whoever takes it continues it.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from knee_attention.errors import InputError, missing_raises
from knee_attention.runs.sweeps.status import Running, Status
from knee_attention.runs.sweeps.storage import connected, storage_errors_refused, without_password

HEARTBEAT, GRACE = 60, 180
"""Seconds between a worker's signs of life, and after which it is taken for dead."""

MOST_DEATHS = 3
"""A cell at which so many workers died is given up."""

INTERRUPTED = "interrupted, or its workers died"

CELL, REASON, WORKER = "cell", "reason", "worker"
IDENTITY, PUT_BACK = "identity", "put back"
"""Names under which the database holds what is the queue's own."""


def require_optuna() -> None:
    """See that there can be a queue, before anything is made or started.

    Raises:
        InputError: Optuna, or the package that it keeps queues with, is not installed.
    """
    lacking = InputError('several workers need Optuna: pip install "knee_attention[sweep]"')
    with missing_raises(lacking, "optuna", "sqlalchemy"):
        import optuna  # noqa: F401
        import sqlalchemy  # noqa: F401


class Queue:
    """The cells of one table or search, and what became of them.

    Args:
        storage: a database as SQLAlchemy names it, `sqlite:///FILE` or `postgresql://...`.
        name: of the table or search.
        identity: what all its cells have in common; another command on the same storage has to
            agree.
        cells: names of the cells, in the order in which they are taken. Those that are not in the
            queue yet are added.
        only_look: leave the queue as it is.
        heartbeat: seconds between signs of life.
        grace: seconds after which a silent worker is taken for dead.

    Raises:
        InputError: Optuna is not installed, the storage cannot be reached, or it holds a queue of
            another identity.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        identity: dict,
        cells: Iterable[str],
        heartbeat: int = HEARTBEAT,
        grace: int = GRACE,
        only_look: bool = False,
    ):
        require_optuna()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._storage = optuna, storage
        self._heartbeat, self._grace = heartbeat, timedelta(seconds=grace)
        self.cells = list(cells)
        self._database = connected(storage, heartbeat, grace, MOST_DEATHS)
        self._study = self._opened(name, identity, only_look)
        if only_look:
            return
        held = {trial.user_attrs[CELL] for trial in self._trials()}
        failed = self.status().failed
        for cell in self.cells:
            # What was interrupted failed without a reason, and is taken up again.
            if cell not in held or failed.get(cell) == INTERRUPTED:
                self._enqueue(cell)

    def _opened(self, name: str, identity: dict, only_look: bool):
        """The queue in the database; None where there is none yet and none is to be made."""
        with storage_errors_refused(self._storage):
            if only_look and name not in self._optuna.get_all_study_names(self._database):
                return None
            study = self._optuna.create_study(
                study_name=name, storage=self._database, load_if_exists=True
            )
            held = study.user_attrs.get(IDENTITY)
            if held is None:
                study.set_user_attr(IDENTITY, identity)
                return study
        different = [key for key in identity if held.get(key) != identity[key]]
        if different:
            key = different[0]
            raise InputError(f"{without_password(self._storage)}: holds a queue with another {key} "
                             f"({held.get(key)!r}, not {identity[key]!r}); repeat the options, or "
                             "choose another --output or --storage")
        return study

    def _enqueue(self, cell: str) -> None:
        self._study.enqueue_trial({}, user_attrs={CELL: cell})

    def _trials(self, *states):
        if self._study is None:
            return []
        with storage_errors_refused(self._storage):
            trials = self._study.get_trials(deepcopy=False, states=states or None)
        return [trial for trial in trials if trial.user_attrs.get(CELL) in self.cells]

    def work(self, do: Callable[[str], float]) -> None:
        """Take one cell after the other until none is left that waits or runs.

        While others work at the last ones it waits, because one of them may die.

        Args:
            do: does a cell and gives its validation loss; what it raises is kept as the reason
                of a failure.

        Raises:
            InputError: the storage cannot be reached any more.
        """
        with storage_errors_refused(self._storage):
            while self._work_once(do):
                pass

    def _work_once(self, do: Callable[[str], float]) -> bool:
        """Take a cell, or wait for the others a while; gives whether there is something left."""
        states = self._optuna.trial.TrialState
        self._optuna.storages.fail_stale_trials(self._study)
        self._give_up_stillborn()
        if self._trials(states.WAITING):
            self._take(do)
        elif self._trials(states.RUNNING):
            time.sleep(min(self._heartbeat, 5))
        else:
            return False
        return True

    def _give_up_stillborn(self) -> None:
        """Put back what workers took that died before their first sign of life: Optuna tells a
        dead worker by its last one.
        """
        states = self._optuna.trial.TrialState
        for trial in self._trials(states.RUNNING):
            silent = WORKER not in trial.user_attrs
            if silent and datetime.now() - trial.datetime_start > self._grace:
                with suppress(ValueError, self._optuna.exceptions.UpdateFinishedTrialError):
                    self._study.tell(trial.number, state=states.FAIL)
                    self._enqueue(trial.user_attrs[CELL])

    def _take(self, do: Callable[[str], float]) -> None:
        try:
            self._study.optimize(lambda trial: self._do(trial, do), 1, catch=(Exception,))
        except AssertionError:
            # Silent for longer than the grace, as a sleeping laptop is, this worker was taken for
            # dead: its cell is somebody else's, and Optuna takes no answer any more.
            return
        except UnboundLocalError:
            # Optuna falls over itself where it cannot write an answer. Either the next look at the
            # storage tells why, or the cell is taken again and found to be finished.
            return

    def _do(self, trial, do: Callable[[str], float]) -> float:
        cell = trial.user_attrs.get(CELL)
        # Another worker took the last one in this very moment, or two commands enqueued it.
        if cell is None or self._is_taken(cell, trial.number):
            raise self._optuna.TrialPruned
        if cell not in self.cells:  # of a command that asks for others too
            trial.set_user_attr(PUT_BACK, True)
            self._enqueue(cell)
            raise self._optuna.TrialPruned
        self._database.record_heartbeat(trial._trial_id)
        trial.set_user_attr(WORKER, f"{socket.gethostname()} {os.getpid()}")
        try:
            return do(cell)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            trial.set_user_attr(REASON, reason)
            raise

    def _is_taken(self, cell: str, number: int) -> bool:
        """Of what was enqueued twice the first counts, also while it waits: of two workers that
        look at the same moment, both cannot have the later one.
        """
        states = self._optuna.trial.TrialState
        return any(
            other.user_attrs[CELL] == cell and other.number < number
            and PUT_BACK not in other.user_attrs
            for other in self._trials(states.WAITING, states.RUNNING, states.COMPLETE)
        )

    def retry_failed(self) -> list[str]:
        """Enqueue the failed cells again; gives their names."""
        failed = list(self.status().failed)
        for cell in failed:
            self._enqueue(cell)
        return failed

    def status(self) -> Status:
        """Where the queue stands."""
        states = self._optuna.trial.TrialState
        by_cell = {}
        for trial in self._trials():
            by_cell.setdefault(trial.user_attrs[CELL], {})[trial.state] = trial
        times = [found[states.COMPLETE].duration for found in by_cell.values()
                 if states.COMPLETE in found]  # fmt: skip
        status = Status(mean=sum(times, timedelta()) / len(times) if times else None)
        for cell in self.cells:
            found = by_cell.get(cell, {})
            if states.COMPLETE in found:
                status.done.append(cell)
            elif states.RUNNING in found:
                trial = found[states.RUNNING]
                worker = trial.user_attrs.get(WORKER, "a worker that has just begun")
                status.running.append(Running(cell, worker, trial.datetime_start))
            elif states.FAIL in found and states.WAITING not in found:
                status.failed[cell] = found[states.FAIL].user_attrs.get(REASON, INTERRUPTED)
            else:
                status.waiting.append(cell)
        return status
