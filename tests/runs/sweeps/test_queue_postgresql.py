"""The queue on PostgreSQL, as for several machines. The tests start their own server."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from processes import done, start_worker, wait_for_a_cell

from knee_attention.errors import InputError
from knee_attention.runs.sweeps.queue import Queue

pytest.importorskip("optuna")
pytest.importorskip("psycopg")
CELLS = [f"cell{number}" for number in range(12)]
SEARCH = Path(__file__).parents[3] / "experiments" / "run_weight_search.py"
QUICK = ["--limit", "10", "--epochs", "1", "--image-size", "96", "96", "--batch-size", "10",
         "--precision", "float32", "--grid", "0.5", "1.0"]  # fmt: skip


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

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        call("initdb", "--auth=trust", "--username=knees", "--no-sync")
        try:
            call("pg_ctl", "start", "-w", "-o", f"-F -p {port} -k {folder} -h 127.0.0.1")
            yield f"postgresql://knees:secret@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "stop", "-m", "immediate")
            folder.with_suffix(".log").unlink()


@pytest.fixture
def storage(server, request):
    """An empty database for one test."""
    import psycopg

    name = request.node.name.lower()[:50]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server}/{name}"


def start_workers(storage, folder, *seconds):
    """Start workers in different working directories."""
    workers = []
    for time_of_a_cell in seconds:
        home = Path(tempfile.mkdtemp(dir=folder))
        workers.append(start_worker(storage, folder, CELLS, time_of_a_cell, working_directory=home))
    return workers


def test_workers_that_begin_at_once_and_hurry_take_no_cell_twice(storage, tmp_path):
    """The first worker creates the tables, and every worker enqueues the cells."""
    workers = start_workers(storage, tmp_path, 0, 0)
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert done(tmp_path) == Counter(CELLS)


def test_two_workers_do_every_cell_once_although_one_is_killed(storage, tmp_path):
    [victim] = start_workers(storage, tmp_path, 600)
    wait_for_a_cell(tmp_path)
    victim.kill()
    victim.wait()
    workers = start_workers(storage, tmp_path, 0.1, 0.1)
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert done(tmp_path) == Counter(CELLS)
    status = Queue(storage, "table", {"size": 1}, CELLS).status()
    assert status.done == CELLS and not status.running and not status.waiting


def test_another_study_is_told_without_the_password(storage):
    Queue(storage, "table", {"size": 1}, CELLS)
    with pytest.raises(InputError, match="another size") as told:
        Queue(storage, "table", {"size": 2}, CELLS)
    assert "secret" not in str(told.value)


@pytest.mark.slow
def test_a_search_from_two_places(storage, tmp_path):
    """Two commands with different working directories and the same output folder."""
    command = [sys.executable, str(SEARCH), "--output", str(tmp_path / "search"), *QUICK,
               "--storage", storage]  # fmt: skip
    commands = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        with open(tmp_path / f"{name}.log", "wb") as log:
            commands.append(subprocess.Popen(command, cwd=tmp_path / name, stdout=log, stderr=log))
    assert [command.wait(timeout=280) for command in commands] == [0, 0]
    said = (tmp_path / "search" / "weight_search.md").read_text()
    assert "4 of 4 trainings" in said and "failed" not in said
