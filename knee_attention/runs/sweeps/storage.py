"""The database of a queue: SQLite for one machine, PostgreSQL for several machines."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from knee_attention.errors import InputError, first_line, how_to_install, missing_raises

LONG_WAIT = {"timeout": 60}
"""Seconds that a transaction of SQLite waits for another transaction."""


def require_optuna() -> None:
    """Check that Optuna and SQLAlchemy are installed.

    Raises:
        InputError: one of them is not installed.
    """
    lacking = InputError(f"several workers need Optuna: {how_to_install('sweep')}")
    with missing_raises(lacking, "optuna", "sqlalchemy"):
        import optuna  # noqa: F401
        import sqlalchemy  # noqa: F401


def local_queue(folder: Path) -> Path:
    """The file of a queue for processes of one machine."""
    return folder / "queue.db"


def local_storage(folder: Path) -> str:
    """The database in the file of `local_queue`, as SQLAlchemy names it."""
    return f"sqlite:///{local_queue(folder).absolute()}"


def connected(storage: str, heartbeat: int, grace: int, put_back: Callable):
    """Optuna's storage in a database; new tables are created if needed.

    Args:
        storage: the database as SQLAlchemy names it.
        heartbeat: seconds between the heartbeats of a worker.
        grace: seconds without a heartbeat until a worker counts as dead.
        put_back: called with the study and the failed trial of a dead worker.

    Raises:
        InputError: the database cannot be reached or used.
    """
    from optuna.storages import RDBStorage

    # A run takes hours, and a network may close an idle connection.
    options = {"pool_pre_ping": True}
    if storage.startswith("sqlite"):
        options = {"connect_args": LONG_WAIT}
    with storage_errors_refused(storage):
        database = _retry_while_tables_are_created(
            lambda: RDBStorage(
                _with_driver(storage),
                engine_kwargs=options,
                heartbeat_interval=heartbeat,
                grace_period=grace,
                heartbeat_stale_trial_callback=put_back,
            )
        )
        if database.engine.dialect.name == "sqlite":
            _lock_at_begin(database.engine)
    return database


@contextmanager
def storage_errors_refused(storage: str) -> Iterator[None]:
    """Raise an InputError of one sentence, without the password, if the database fails."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (
        SQLAlchemyError, StorageInternalError, ImportError, OSError, RuntimeError
    ) as error:  # fmt: skip
        reason = first_line(error)
        if isinstance(error, ImportError):
            reason += f": {how_to_install('sweep')}"
        raise InputError(f"{without_password(storage)}: no usable storage ({reason})") from None


def without_password(storage: str) -> str:
    """The name of a storage without its password."""
    from sqlalchemy.engine import make_url

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except Exception:  # not the name of a database
        return storage


def _retry_while_tables_are_created(connect: Callable):
    """Call `connect`, and call it again if another process creates the tables at the same time."""
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
    """The storage with psycopg as its driver. SQLAlchemy's default depends on its version."""
    return re.sub("^postgresql://", "postgresql+psycopg://", storage)


def _lock_at_begin(engine) -> None:
    """Lock SQLite at the start of a transaction instead of at its first write.

    SQLite has no SELECT FOR UPDATE. Without the lock two workers could read the same waiting cell
    and both run it.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def leave_transactions_alone(connection, record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
