"""A queue of cells: each is run once, even if workers die."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from processes import done, start_worker, wait_for_a_cell

from knee_attention.errors import InputError
from knee_attention.runs.sweeps.queue import Queue
from knee_attention.runs.sweeps.storage import local_storage

pytest.importorskip("optuna")
CELLS = [f"cell{number}" for number in range(6)]


def open_queue(folder, identity=None, cells=CELLS):
    return Queue(local_storage(folder), "table", identity or {"size": 1}, cells, 1, 2)


def test_two_workers_do_every_cell_once_although_one_is_killed(tmp_path):
    open_queue(tmp_path)
    victim = start_worker(local_storage(tmp_path), tmp_path, CELLS, seconds=600)
    wait_for_a_cell(tmp_path)
    victim.kill()
    victim.wait()
    workers = [start_worker(local_storage(tmp_path), tmp_path, CELLS, 0.1) for _ in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert done(tmp_path) == Counter(CELLS)
    status = open_queue(tmp_path).status()
    assert status.done == CELLS and not status.running and not status.waiting


def test_a_worker_that_dies_before_its_first_sign_of_life_loses_no_cell(tmp_path):
    import optuna

    open_queue(tmp_path, cells=CELLS[:2])
    study = optuna.load_study(study_name="table", storage=local_storage(tmp_path))
    assert study.ask().user_attrs["cell"] == "cell0"  # the worker dies here
    queue = open_queue(tmp_path, cells=CELLS[:2])
    assert [running.cell for running in queue.status().running] == ["cell0"]
    queue.work(lambda cell: 1.0)
    assert queue.status().done == CELLS[:2]


def test_workers_that_begin_at_once_and_hurry_take_no_cell_twice(tmp_path):
    """The first worker creates the tables, and every worker enqueues the cells."""
    cells = [f"cell{number}" for number in range(30)]
    workers = [start_worker(local_storage(tmp_path), tmp_path, cells, 0, grace=60)
               for _ in range(2)]  # fmt: skip
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert done(tmp_path) == Counter(cells)


def test_what_fails_is_told_and_tried_again_only_when_asked(tmp_path):
    def do(cell):
        if cell == "cell1":
            raise InputError("no such film\nand more")
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
    with pytest.raises(InputError, match="another size"):
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
def test_a_storage_that_cannot_be_used_is_told(storage):
    with pytest.raises(InputError, match="no usable storage") as told:
        Queue(storage, "table", {}, CELLS)
    assert "secret" not in str(told.value) and "\n" not in str(told.value)


def test_a_storage_that_is_lost_in_the_midst_is_told(tmp_path):
    queue = open_queue(tmp_path)

    def lose(cell):
        for file in tmp_path.glob("queue.db*"):
            file.write_bytes(b"no database any more" * 500)
        return 1.0

    with pytest.raises(InputError, match="no usable storage"):
        queue.work(lose)
    with pytest.raises(InputError, match="no usable storage"):
        queue.status()
