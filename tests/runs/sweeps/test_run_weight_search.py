"""The search over loss weights, from its command line."""

import sys
from dataclasses import replace

import pytest
from stand_ins import EXPERIMENTS

from knee_attention.commands.scripts import sweeps, tables
from knee_attention.commands.scripts.weight_search import main
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import with_recorded_data_path
from knee_attention.runs.sweeps.weight_search import GRID, cells_of

SCRIPTS = sorted(EXPERIMENTS.glob("run_*_multiloss.py"))
MULTI = Experiment("antony_clsf", ("att1", "att2"), "multi_loss", (1.0, 0.8))
QUICK = ["--limit", "10", "--epochs", "1", "--image-size", "96", "96", "--batch-size", "10",
         "--precision", "float32", "--grid", "0.5", "1.0"]  # fmt: skip


def test_every_pair_of_weights_is_a_cell_and_further_seeds_come_behind():
    cells = cells_of(MULTI, GRID, 2)
    assert len(cells) == 72
    assert cells["w1-0.8"].loss_weights == (1.0, 0.8) and cells["w1-0.8"].seed == 0
    assert cells["w0.5-0.6-seed1"].seed == 1
    assert list(cells)[:2] == ["w0.5-0.5", "w0.5-0.6"]


def test_weights_that_differ_in_the_last_digit_are_two_cells():
    cells = cells_of(MULTI, [0.1234561, 0.1234562, 1.0], 1)
    assert len(cells) == 9 == len({experiment.loss_weights for experiment in cells.values()})
    assert cells["w0.1234561-1"].loss_weights == (0.1234561, 1.0)
    assert cells["w0.1234562-0.1234561"].loss_weights == (0.1234562, 0.1234561)


def test_further_seeds_may_be_those_of_some_cells_alone():
    cells = cells_of(MULTI, GRID, 3, [(1.0, 0.8), (0.5, 0.5)])
    assert len(cells) == 36 + 2 * 2
    further = {name for name in cells if "seed" in name}
    assert further == {"w1-0.8-seed1", "w1-0.8-seed2", "w0.5-0.5-seed1", "w0.5-0.5-seed2"}


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--seeds", "2", "--repeat", "1", "0.85"], "--repeat 1 0.85: no cell of the grid 0.5, 1"),
     (["--repeat", "1", "0.5"], "give that too")],
)  # fmt: skip
def test_a_cell_that_cannot_be_repeated_is_refused(tmp_path, refused, options, message):
    assert message in refused(main, SCRIPTS, ["--output", str(tmp_path / "s"), *QUICK, *options])


@pytest.mark.parametrize(
    ("grid", "message"),
    [(["0.5"], "two different"), (["0.5", "0.5"], "two different"), (["0", "1"], "above 0"),
     (["0.5", "1.1"], "at most 1"), (["0.5", "nan"], "at most 1"),
     (["0.5", "much"], "invalid float value: 'much'")],
)  # fmt: skip
def test_a_grid_that_is_none_is_refused(tmp_path, capsys, grid, message):
    with pytest.raises(SystemExit) as ended:
        main(SCRIPTS, ["--output", str(tmp_path / "search"), "--grid", *grid])
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "search").exists()


def test_a_queue_is_of_one_command_with_one_set_of_options(tmp_path, monkeypatch, refused):
    pytest.importorskip("optuna")
    monkeypatch.setattr(sweeps, "run_from", lambda *_: None)
    main(SCRIPTS, ["--output", str(tmp_path / "queued"), "--worker", *QUICK])
    queued = ["--output", str(tmp_path / "queued"), "--status"]
    epochs = [*queued, *QUICK, "--epochs", "2"]
    assert "other options (epochs 1 -> 2)" in refused(main, SCRIPTS, epochs)
    weights = [*queued, *QUICK, "--weights", str(SCRIPTS[0])]
    assert "other options (weights scratch -> " in refused(main, SCRIPTS, weights)
    said = refused(tables.main, "table1", SCRIPTS, queued)
    assert "command run_weight_search.py -> run_table1.py" in said
    monkeypatch.setattr(sweeps, "__version__", "99.0")
    assert "other options (version " in refused(main, SCRIPTS, [*queued, *QUICK])


def test_the_status_changes_nothing_and_knows_what_ran_without_a_queue(tmp_path, capsys):
    optuna = pytest.importorskip("optuna")
    status = ["--output", str(tmp_path / "search"), "--status", *QUICK]
    main(SCRIPTS, status)
    assert "done 0, running 0, waiting 4, failed 0" in capsys.readouterr().out
    assert not (tmp_path / "search").exists()
    storage = tmp_path / "elsewhere.db"
    main(SCRIPTS, [*status, "--storage", f"sqlite:///{storage}"])
    assert optuna.get_all_study_names(f"sqlite:///{storage}") == []
    done = tmp_path / "search" / "w0.5-1"
    done.mkdir(parents=True)
    (done / "results.json").write_text("{}")
    capsys.readouterr()
    main(SCRIPTS, status)
    assert "done 1, running 0, waiting 3, failed 0" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["optuna", "sqlalchemy"])
@pytest.mark.parametrize("asked", [["--workers", "2"], ["--worker"], ["--retry-failed"],
                                   ["--storage", "sqlite:///queue.db"]])  # fmt: skip
def test_workers_without_optuna_are_refused_before_anything_is_made(
    tmp_path, refused, monkeypatch, package, asked
):
    monkeypatch.setitem(sys.modules, package, None)
    options = ["--output", str(tmp_path / "out"), *asked]
    for command in ((main, SCRIPTS), (tables.main, "table1", SCRIPTS)):
        said = refused(*command, options)
        assert said.endswith('workers need Optuna: pip install -e ".[sweep]" in the clone')
    assert not list(tmp_path.iterdir())


def test_the_status_of_runs_without_a_queue_needs_no_optuna(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    main(SCRIPTS, ["--output", str(tmp_path / "search"), *QUICK, "--status"])
    assert "waiting 4" in capsys.readouterr().out


def test_a_database_without_its_driver_is_refused_with_the_command_that_installs_it(
    tmp_path, refused, monkeypatch
):
    pytest.importorskip("optuna")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    storage = ["--storage", "postgresql://127.0.0.1:1/none", "--workers", "2"]
    said = refused(main, SCRIPTS, ["--output", str(tmp_path / "search"), *QUICK, *storage])
    assert "no usable storage" in said and 'pip install -e ".[sweep]" in the clone' in said


def test_a_storage_without_a_name_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(SCRIPTS, ["--output", str(tmp_path / "search"), *QUICK, "--storage", ""])
    assert "--storage: expected a name, not an empty text" in capsys.readouterr().err


def test_an_output_without_what_the_queue_has_finished_is_refused(tmp_path, monkeypatch, refused):
    """Simulates a machine that has no access to the others' folder."""
    pytest.importorskip("optuna")
    storage = ["--storage", f"sqlite:///{tmp_path / 'queue.db'}"]
    monkeypatch.setattr(sweeps, "run_from", lambda queue, *_: queue.work(lambda cell: 1.0))
    main(SCRIPTS, ["--output", str(tmp_path / "here" / "search"), *QUICK, *storage])
    options = ["--output", str(tmp_path / "there" / "search"), *QUICK, *storage]
    assert "the queue records w0.5-0.5 as finished" in refused(main, SCRIPTS, options)


@pytest.mark.parametrize("asked", ["--status", "--workers"])
def test_runs_of_another_seed_are_neither_done_nor_shown(tmp_path, monkeypatch, refused, asked):
    pytest.importorskip("optuna")
    options = ["--output", str(tmp_path / "search"), *QUICK]
    monkeypatch.setattr(sweeps, "run_from", lambda queue, cells, output, _: queue.work(
        lambda cell: RunFolder(output / cell).begin(cells[cell], []) or 1.0))
    main(SCRIPTS, [*options, "--worker"])
    for cell in (tmp_path / "search").glob("w*"):
        (cell / "results.json").write_text("{}")
    options += ["--seed", "1", asked, *(["1"] if asked == "--workers" else [])]
    assert "contains another experiment (seed 0 -> 1)" in refused(main, SCRIPTS, options)
    assert not list(tmp_path.rglob("*.csv"))


def test_data_of_one_name_are_the_same_wherever_a_machine_has_them(tmp_path):
    run, here = RunFolder(tmp_path / "run"), Experiment(data="/here/knees")
    run.begin(Experiment(data="/there/knees"), [])

    def differs(**changes):
        return run.different_from(with_recorded_data_path(replace(here, **changes), run))

    assert not differs()
    assert differs(seed=1) == {"seed": (0, 1)}
    assert "data" in differs(data="/here/others")


@pytest.mark.slow
def test_workers_search(tmp_path, capsys, monkeypatch):
    pytest.importorskip("optuna")
    script = EXPERIMENTS / "run_weight_search.py"
    options = ["--output", str(tmp_path / "queued"), *QUICK, "--workers", "2"]
    monkeypatch.setattr(sys, "argv", [str(script), *options])
    main(SCRIPTS, options)
    assert "4 of 4 trainings" in capsys.readouterr().out
