"""The database a queue lies in: SQLite for one machine, PostgreSQL for several."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from knee_attention.errors import InputError

LONG_WAIT = {"timeout": 60}
"""Seconds that SQLite lets a transaction wait for another."""


def local_queue(folder: Path) -> Path:
    """The file of a queue that only processes of this machine work through."""
    return folder / "queue.db"


def local_storage(folder: Path) -> str:
    """The database in that file."""
    return f"sqlite:///{local_queue(folder).absolute()}"


def connected(storage: str, heartbeat: int, grace: int, most_deaths: int):
    """Optuna's storage in a database, with its tables.

    Args:
        storage: the database as SQLAlchemy names it.
        heartbeat: seconds between a worker's signs of life.
        grace: seconds after which a silent worker is taken for dead.
        most_deaths: after so many dead workers a trial is given up.

    Raises:
        InputError: it cannot be reached or used.
    """
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    # While a run lasts for hours, a network may give up the connection.
    options = {"pool_pre_ping": True}
    if storage.startswith("sqlite"):
        options = {"connect_args": LONG_WAIT}
    with storage_errors_refused(storage):
        database = _once_tables_are_made(
            lambda: RDBStorage(
                _with_driver(storage),
                engine_kwargs=options,
                heartbeat_interval=heartbeat,
                grace_period=grace,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
                    max_retry=most_deaths - 1  # the first time is no retry
                ),
            )
        )
        if database.engine.dialect.name == "sqlite":
            _have_writers_wait(database.engine)
    return database


@contextmanager
def storage_errors_refused(storage: str) -> Iterator[None]:
    """Turn what a database cannot do into one sentence, without its password."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (
        SQLAlchemyError, StorageInternalError, ImportError, OSError, RuntimeError
    ) as error:  # fmt: skip
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, ImportError):
            reason += ': pip install "knee_attention[sweep]"'
        raise InputError(f"{without_password(storage)}: no usable storage ({reason})") from None


def without_password(storage: str) -> str:
    """A storage as it may be shown."""
    from sqlalchemy.engine import make_url

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except Exception:  # no address at all
        return storage


def _once_tables_are_made(connect: Callable):
    """What `connect` gives; again where another process was making the tables at this moment."""
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    for patience in (0.2, 0.5, 1.0, 2.0):
        try:
            return connect()
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if not isinstance(error, IntegrityError) and "already exists" not in str(error):
                raise
            time.sleep(patience)
    return connect()


def _with_driver(storage: str) -> str:
    """The same database; SQLAlchemy takes another driver for PostgreSQL in each of its versions."""
    return re.sub("^postgresql://", "postgresql+psycopg://", storage)


def _have_writers_wait(engine) -> None:
    """Let a transaction on SQLite take its lock before it reads, not before it writes.

    SQLite knows no SELECT FOR UPDATE: two workers would read that a cell waits, and both take it.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def leave_transactions_alone(connection, record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
