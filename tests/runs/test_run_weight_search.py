"""The search's cells, from its command line on."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from knee_attention.commands.weight_search import main
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.weight_search import GRID, cells_of

SCRIPTS = sorted((Path(__file__).parents[2] / "experiments").glob("run_*_multiloss.py"))
MULTI = Experiment("antony_clsf", ("att1", "att2"), "multi_loss", (1.0, 0.8))
QUICK = ["--limit", "10", "--epochs", "1", "--image-size", "96", "96", "--batch-size", "10",
         "--precision", "float32", "--grid", "0.5", "1.0"]  # fmt: skip


def test_every_pair_of_weights_is_a_cell_and_further_seeds_come_behind():
    cells = cells_of(MULTI, GRID, 2)
    assert len(cells) == 72
    assert cells["w1-0.8"].loss_weights == (1.0, 0.8) and cells["w1-0.8"].seed == 0
    assert cells["w0.5-0.6-seed1"].seed == 1
    assert list(cells)[:2] == ["w0.5-0.5", "w0.5-0.6"]


@pytest.mark.parametrize(
    ("grid", "message"),
    [(["0.5"], "two different"), (["0.5", "0.5"], "two different"), (["0", "1"], "above 0"),
     (["0.5", "1.1"], "at most 1"), (["0.5", "nan"], "at most 1")],
)  # fmt: skip
def test_a_grid_that_is_none_is_told(tmp_path, capsys, grid, message):
    with pytest.raises(SystemExit) as ended:
        main(SCRIPTS, ["--output", str(tmp_path / "search"), "--grid", *grid])
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_workers_and_one_process_find_the_same(tmp_path, capsys, monkeypatch):
    pytest.importorskip("optuna")
    script = Path(__file__).parents[2] / "experiments" / "run_weight_search.py"
    queued = ["--output", str(tmp_path / "queued"), *QUICK]
    main(SCRIPTS, [*queued, "--status"])
    assert "done 0, running 0, waiting 4, failed 0" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [str(script), *queued, "--workers", "2"])
    main(SCRIPTS, sys.argv[1:])
    assert "4 of 4 trainings" in capsys.readouterr().out
    main(SCRIPTS, ["--output", str(tmp_path / "alone"), *QUICK])
    for cell in ("w0.5-0.5", "w1-1"):
        ours, theirs = (tmp_path / kind / cell / "results.json" for kind in ("queued", "alone"))
        assert ours.read_bytes() == theirs.read_bytes()
    tables = [pd.read_csv(tmp_path / kind / "weight_search.csv") for kind in ("queued", "alone")]
    pd.testing.assert_frame_equal(*tables)
    with pytest.raises(SystemExit):
        main(SCRIPTS, [*queued, "--status", "--epochs", "2"])
    assert "another epochs (1, not 2)" in capsys.readouterr().err
