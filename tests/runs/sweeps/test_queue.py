"""A queue of cells, on SQLite and on PostgreSQL: each is run once, even if workers die."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from processes import done, free_port, start_worker, wait_for_a_cell
from stand_ins import EXPERIMENTS

from knee_attention.errors import InputError
from knee_attention.runs.sweeps import cells as sweep_cells
from knee_attention.runs.sweeps import queue
from knee_attention.runs.sweeps.queue import Queue
from knee_attention.runs.sweeps.status import Status
from knee_attention.runs.sweeps.storage import local_storage

pytest.importorskip("optuna")

CELLS = [f"cell{number}" for number in range(6)]


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    """Workers of this process count as dead after two seconds without a heartbeat."""
    monkeypatch.setattr(queue, "HEARTBEAT", 1)
    monkeypatch.setattr(queue, "GRACE", 2)


def open_queue(folder, identity=None, cells=CELLS):
    return Queue(local_storage(folder), "table", identity or {"size": 1}, cells)


def programs() -> Path:
    """The folder of the server's programs, which is not in PATH on Debian."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL server is installed")
    return folders[-1]


def unprivileged(folder: Path) -> list[str]:
    """Command prefix to run as the folder's owner, because the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("PostgreSQL refuses to run as root, and there is no setpriv")
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@pytest.fixture(scope="module")
def server():
    """The address of a server, with a placeholder for a test's database."""
    there = programs()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        before = unprivileged(folder)

        def call(program, *arguments):
            command = [*before, str(there / program), "-D", str(folder / "data"), *arguments]
            with (folder.with_suffix(".log")).open("ab") as log:
                subprocess.run(command, cwd="/", check=True, stdout=log, stderr=log)

        port = free_port()
        call("initdb", "--auth=trust", "--username=knees", "--no-sync")
        try:
            call("pg_ctl", "start", "-w", "-o", f"-F -p {port} -k {folder} -h 127.0.0.1")
            yield f"postgresql://knees:secret@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "stop", "-m", "immediate")
            folder.with_suffix(".log").unlink()


@pytest.fixture
def postgresql(server, request):
    """An empty database of PostgreSQL for one test."""
    psycopg = pytest.importorskip("psycopg")

    name = request.node.originalname.lower()[:50]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request, tmp_path):
    """An empty database of each kind for one test."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    return local_storage(tmp_path)


def start_workers(storage, folder, cells, *seconds, grace=8):
    """Start workers in different working directories."""
    workers = []
    for time_of_a_cell in seconds:
        home = Path(tempfile.mkdtemp(dir=folder))
        workers.append(start_worker(storage, folder, cells, time_of_a_cell, grace, home))
    return workers


def test_two_workers_do_every_cell_once_although_one_is_killed(storage, tmp_path):
    [victim] = start_workers(storage, tmp_path, CELLS, 600)
    wait_for_a_cell(tmp_path)
    victim.kill()
    victim.wait()
    workers = start_workers(storage, tmp_path, CELLS, 0.1, 0.1)
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert done(tmp_path) == Counter(CELLS)
    status = Queue(storage, "table", {"size": 1}, CELLS).status()
    assert status.done == CELLS and not status.running and not status.waiting


def test_workers_that_begin_at_once_and_hurry_take_no_cell_twice(storage, tmp_path):
    """The first worker creates the tables, and every worker enqueues the cells."""
    cells = [f"cell{number}" for number in range(30)]
    workers = start_workers(storage, tmp_path, cells, 0, 0, grace=60)
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert done(tmp_path) == Counter(cells)


def test_a_worker_that_dies_before_its_first_sign_of_life_loses_no_cell(tmp_path):
    import optuna

    open_queue(tmp_path, cells=CELLS[:2])
    study = optuna.load_study(study_name="table", storage=local_storage(tmp_path))
    assert study.ask().user_attrs["cell"] == "cell0"  # the worker dies here
    queue = open_queue(tmp_path, cells=CELLS[:2])
    assert [running.cell for running in queue.status().running] == ["cell0"]
    queue.work(lambda cell: 1.0)
    assert queue.status().done == CELLS[:2]


def test_what_fails_is_reported_and_tried_again_only_when_asked(tmp_path):
    def do(cell):
        if cell == "cell1":
            raise InputError("\nno such film\nand more")
        return 1.0

    queue = open_queue(tmp_path, cells=CELLS[:3])
    assert queue.status().waiting == CELLS[:3] and queue.status().left is None
    queue.work(do)
    again = open_queue(tmp_path, cells=CELLS[:3])
    assert again.status().failed == {"cell1": "no such film"}
    assert "failed: cell1: no such film" in str(again.status())
    assert again.retry_failed() == ["cell1"] and again.status().waiting == ["cell1"]
    again.work(lambda cell: 2.0)
    assert again.status().done == CELLS[:3]


def test_an_interrupted_cell_is_taken_up_again(tmp_path):
    def interrupted(cell):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_queue(tmp_path).work(interrupted)
    assert sorted(open_queue(tmp_path).status().waiting) == CELLS


def test_cells_can_be_added_but_nothing_else_changed(tmp_path):
    open_queue(tmp_path, cells=CELLS[:2]).work(lambda cell: 1.0)
    status = open_queue(tmp_path, cells=CELLS[:3]).status()
    assert status.done == CELLS[:2] and status.waiting == ["cell2"]
    with pytest.raises(InputError, match=r"other options \(size 1 -> 2\)"):
        open_queue(tmp_path, {"size": 2})


def test_a_worker_leaves_the_cells_of_others_to_them(tmp_path):
    """Happens after --only, or with another command that has more --seeds."""
    others = open_queue(tmp_path)
    some = open_queue(tmp_path, cells=CELLS[3:4])
    did = []
    some.work(lambda cell: did.append(cell) or 1.0)
    assert did == some.status().done == ["cell3"]
    assert not others.status().failed and len(others.status().waiting) == 5
    others.work(lambda cell: did.append(cell) or 1.0)
    assert Counter(did) == Counter(others.status().done) == Counter(CELLS)


@pytest.mark.parametrize("error", [None, InputError("no such film")])
def test_the_result_of_a_worker_that_counts_as_dead_is_ignored(tmp_path, error):
    import optuna

    times = []

    def do(cell):
        times.append(cell)
        if len(times) == 1:  # another worker fails this trial and enqueues the cell again
            study = optuna.load_study(study_name="table", storage=local_storage(tmp_path))
            study.tell(0, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial({}, user_attrs={"cell": cell})
            if error:
                raise error
        return 1.0

    queue = open_queue(tmp_path, cells=CELLS[:1])
    queue.work(do)
    assert times == ["cell0", "cell0"] and queue.status().done == ["cell0"]


@pytest.mark.filterwarnings("ignore:.*experimental")
def test_a_cell_at_which_three_workers_died_is_given_up(tmp_path):
    import optuna

    queue = open_queue(tmp_path, cells=CELLS[:1])
    study = optuna.load_study(study_name="table", storage=local_storage(tmp_path))
    for _ in range(3):
        assert queue.status().waiting == ["cell0"]
        study.ask()
        with closing(sqlite3.connect(tmp_path / "queue.db")) as database, database:
            database.execute("insert into trial_heartbeats (trial_id, heartbeat) "
                             "select max(trial_id), datetime('now', '-1 hour') from trials")
        optuna.storages.fail_stale_trials(queue._study)
    assert list(queue.status().failed) == ["cell0"]


@pytest.mark.parametrize(
    "storage", ["postgresql://user:secret@127.0.0.1:1/none", "sqlite:////no/folder/x.db", "rubbish"]
)
def test_a_storage_that_cannot_be_used_is_refused(storage):
    with pytest.raises(InputError, match="no usable storage") as refused:
        Queue(storage, "table", {}, CELLS)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)
    if "user" in storage:
        assert "user:***@127.0.0.1:1/none: no usable storage" in str(refused.value)


def test_a_storage_that_is_lost_in_the_midst_is_refused(tmp_path):
    queue = open_queue(tmp_path)

    def lose(cell):
        for file in tmp_path.glob("queue.db*"):
            file.write_bytes(b"no database any more" * 500)
        return 1.0

    with pytest.raises(InputError, match="no usable storage"):
        queue.work(lose)
    with pytest.raises(InputError, match="no usable storage"):
        queue.status()


SEARCH = EXPERIMENTS / "run_weight_search.py"
QUICK = ["--limit", "10", "--epochs", "1", "--image-size", "96", "96", "--batch-size", "10",
         "--precision", "float32", "--grid", "0.5", "1.0"]  # fmt: skip


@pytest.mark.parametrize("lasts", [False, True])
def test_a_database_that_fails_for_a_moment_ends_no_worker(tmp_path, monkeypatch, lasts):
    class FailingQueue:
        cells = ["cell"]

        def status(self):
            if (tmp_path / "done").exists() and not lasts:
                return Status(done=["cell"])
            if (tmp_path / "worker1.log").exists():
                raise InputError("the database does not answer")
            return Status(waiting=["cell"])

    monkeypatch.setattr(sweep_cells, "POLL", 0.01)
    code = "import time, pathlib, sys; time.sleep(0.3); pathlib.Path(sys.argv[1]).touch()"
    command = [sys.executable, "-c", code, str(tmp_path / "done")]
    with pytest.raises(InputError, match="does not answer") if lasts else nullcontext():
        sweep_cells.run_by_workers(FailingQueue(), command, 1, tmp_path)
    assert (tmp_path / "done").exists()


def test_another_study_is_refused_without_the_password(postgresql):
    Queue(postgresql, "table", {"size": 1}, CELLS)
    with pytest.raises(InputError, match=r"other options \(size 1 -> 2\)") as refused:
        Queue(postgresql, "table", {"size": 2}, CELLS)
    assert "secret" not in str(refused.value)


@pytest.mark.slow
def test_a_search_from_two_places(postgresql, tmp_path):
    """Two commands with different working directories and the same output folder."""
    command = [sys.executable, str(SEARCH), "--output", str(tmp_path / "search"), *QUICK,
               "--storage", postgresql]  # fmt: skip
    commands = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        with open(tmp_path / f"{name}.log", "wb") as log:
            commands.append(subprocess.Popen(command, cwd=tmp_path / name, stdout=log, stderr=log))
    assert [command.wait() for command in commands] == [0, 0]
    said = (tmp_path / "search" / "weight_search.md").read_text()
    assert "4 of 4 trainings" in said and "failed" not in said
