"""A queue of runs for any number of processes and machines.

Optuna keeps the queue in a database; its samplers are not used. Every cell of a table or a search
is one trial of the queue. A worker takes the next cell, and the cell of a dead worker is enqueued
again. A run's folder has the name of its cell, so another worker resumes the run.
"""

import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, Thread

from knee_attention.errors import InputError, first_line
from knee_attention.runs.experiment import changes_in_words
from knee_attention.runs.sweeps.status import CELL, INTERRUPTED, REASON, WORKER, Status
from knee_attention.runs.sweeps.storage import (
    connected,
    require_optuna,
    storage_errors_refused,
    without_password,
)

HEARTBEAT, GRACE = 60, 180
"""Seconds between the heartbeats of a worker, and without a heartbeat until it counts as dead."""

MOST_DEATHS = 3
"""After this number of dead workers a cell is given up."""

IDENTITY, PUT_BACK, DEATHS = "identity", "put back", "deaths"
"""Names of further attributes of studies and trials in the database."""


class Queue:
    """The cells of one table or search, and their states.

    Args:
        storage: a database as SQLAlchemy names it, `sqlite:///FILE` or `postgresql://...`.
        name: of the table or search.
        identity: options that all cells share. A queue with other options is refused.
        cells: names of the cells, in the order of work. New cells are added to the queue.
        read_only: read the queue without changing it.

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
        read_only: bool = False,
    ):
        require_optuna()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._storage = optuna, storage
        self._states = optuna.trial.TrialState
        self.cells = list(cells)
        self._database = connected(storage, HEARTBEAT, GRACE, self._put_back)
        self._study = self._opened(name, identity, read_only)
        if read_only:
            return
        held = {trial.user_attrs[CELL] for trial in self._trials()}
        failed = self.status().failed
        for cell in self.cells:
            # An interrupted cell has failed without a reason.
            if cell not in held or failed.get(cell) == INTERRUPTED:
                self._enqueue(cell)

    def _opened(self, name: str, identity: dict, read_only: bool):
        """The study in the database. With `read_only`, None if there is no study."""
        with storage_errors_refused(self._storage):
            if read_only and name not in self._optuna.get_all_study_names(self._database):
                return None
            study = self._optuna.create_study(
                study_name=name, storage=self._database, load_if_exists=True
            )
            held = study.user_attrs.get(IDENTITY)
            if held is None:
                study.set_user_attr(IDENTITY, identity)
                return study
        different = {key: (held.get(key), value) for key, value in identity.items()
                     if held.get(key) != value}  # fmt: skip
        if different:
            raise InputError(f"{without_password(self._storage)}: holds a queue with other options "
                             f"({changes_in_words(different)}); repeat the options, or choose "
                             "another --output or --storage")
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
        """Run cells until no cell is waiting or running.

        The worker also waits for the cells of other workers, because another worker may die.

        Args:
            do: runs a cell and returns its validation loss. The message of its exception becomes
                the reason of the failure.

        Raises:
            InputError: the storage cannot be reached.
        """
        with storage_errors_refused(self._storage):
            while self._work_once(do):
                pass

    def _work_once(self, do: Callable[[str], float]) -> bool:
        """Run a cell or wait for other workers; returns whether cells are left."""
        self._optuna.storages.fail_stale_trials(self._study)
        self._requeue_silent()
        if self._trials(self._states.WAITING):
            self._take(do)
        elif self._trials(self._states.RUNNING):
            time.sleep(min(HEARTBEAT, 5))
        else:
            return False
        return True

    def _requeue_silent(self) -> None:
        """Enqueue again the cells of workers that died before their first heartbeat.

        Optuna only finds dead workers that have recorded a heartbeat.
        """
        for trial in self._trials(self._states.RUNNING):
            silent = WORKER not in trial.user_attrs
            if silent and datetime.now() - trial.datetime_start > timedelta(seconds=GRACE):
                with suppress(ValueError, self._optuna.exceptions.UpdateFinishedTrialError):
                    self._study.tell(trial.number, state=self._states.FAIL)
                    self._put_back(self._study, trial)

    @staticmethod
    def _put_back(study, trial) -> None:
        """Enqueue the cell of a dead worker again, up to `MOST_DEATHS` workers."""
        deaths = trial.user_attrs.get(DEATHS, 0) + 1
        if deaths < MOST_DEATHS:
            study.enqueue_trial({}, user_attrs={CELL: trial.user_attrs[CELL], DEATHS: deaths})

    def _take(self, do: Callable[[str], float]) -> None:
        """Run the next waiting cell, if it is one of this worker's cells."""
        with warnings.catch_warnings():
            # Optuna warns that ask() records no heartbeats; _heartbeats() does.
            warnings.simplefilter("ignore")
            trial = self._study.ask()
        cell = trial.user_attrs.get(CELL)
        # Another worker took the last cell since the check, or two commands enqueued the cell.
        if cell is None or self._is_taken(cell, trial.number):
            self._end(trial, self._states.PRUNED)
        elif cell not in self.cells:  # a cell of another command on the same queue
            trial.set_user_attr(PUT_BACK, True)
            self._enqueue(cell)
            self._end(trial, self._states.PRUNED)
        else:
            self._do(trial, cell, do)

    def _do(self, trial, cell: str, do: Callable[[str], float]) -> None:
        try:
            with self._heartbeats(trial.number):
                trial.set_user_attr(WORKER, f"{socket.gethostname()} {os.getpid()}")
                loss = do(cell)
        except Exception as error:
            self._end(trial, self._states.FAIL, reason=first_line(error))
        except BaseException:
            self._end(trial, self._states.FAIL)
            raise
        else:
            self._end(trial, values=loss)

    @contextmanager
    def _heartbeats(self, number: int) -> Iterator[None]:
        """Record heartbeats of a trial while the block runs."""
        study = self._database.get_study_id_from_name(self._study.study_name)
        trial = self._database.get_trial_id_from_study_id_trial_number(study, number)
        ended = Event()

        def repeat() -> None:
            while not ended.wait(HEARTBEAT):
                with suppress(self._optuna.exceptions.StorageInternalError):
                    self._database.record_heartbeat(trial)
            self._database.remove_session()

        self._database.record_heartbeat(trial)
        thread = Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _end(self, trial, state=None, values: float | None = None, reason: str = "") -> None:
        """Write the result of a trial, or the reason of its failure.

        Some results are ignored. A worker that records no heartbeat for longer than the grace
        period, such as a sleeping laptop, counts as dead: its cell belongs to another worker. If
        the storage fails, the next read reports the error, or the next worker of the cell finds
        the run finished.
        """
        failures = self._optuna.exceptions
        with suppress(failures.UpdateFinishedTrialError, failures.StorageInternalError):
            if reason:
                trial.set_user_attr(REASON, reason)
            self._study.tell(trial, values, state, skip_if_finished=True)

    def _is_taken(self, cell: str, number: int) -> bool:
        """Whether an earlier trial of the same cell is waiting, running or complete.

        A waiting trial counts too. Otherwise two workers could run both trials at the same time.
        """
        return any(
            other.user_attrs[CELL] == cell and other.number < number
            and PUT_BACK not in other.user_attrs
            for other in self._trials(
                self._states.WAITING, self._states.RUNNING, self._states.COMPLETE
            )
        )

    def retry_failed(self) -> list[str]:
        """Enqueue the failed cells again; returns their names."""
        failed = list(self.status().failed)
        for cell in failed:
            self._enqueue(cell)
        return failed

    def status(self) -> Status:
        """The state of every cell."""
        return Status.of(self.cells, self._trials())
