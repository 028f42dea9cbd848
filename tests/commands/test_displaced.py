"""A model of displaced joints: its file records it, and each command follows."""

import json

import pytest

from knee_attention.commands.cli import main
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.published_runs import read_runs
from knee_attention.runs.run import run


@pytest.fixture
def trained(knee_folder, tmp_path, eager, blank_figures):
    """A run on displaced joints."""
    experiment = Experiment("antony_clsf", ("att1",), "single", data=str(knee_folder), limit=10,
                            image_size=(96, 96), epochs=1, batch_size=10, precision="float32",
                            crop="square", displace=True)  # fmt: skip
    run(experiment, tmp_path / "displaced")
    return tmp_path / "displaced"


def test_every_command_knows_the_joints_of_a_run_on_displaced_joints(
    trained, knee_folder, tmp_path, capsys
):
    results = json.loads((trained / "results.json").read_text())
    assert 0 < results["localisation"]["att1"]["pointing_game_uniform"] < 0.1

    options = ["--data", str(knee_folder), "--split", "validation", "--limit", "10"]
    main(["evaluate", str(trained), *options])
    assert "on / off the joint" in capsys.readouterr().out
    main(["audit", str(trained), *options])
    assert "Where it looks (10 knees)" in capsys.readouterr().out
    main(["publish", str(trained), "--to", str(tmp_path / "set")])
    [published] = read_runs(tmp_path / "set").values()
    audit = json.loads((trained / "audit.json").read_text())["branches"]["att1"]
    masks = published.audit["att1"]
    assert masks["own mask"]["highest"] == audit["where"]["own mask"]["highest"]
    assert masks["mean mask"]["accuracy"] == audit["matters"]["mean mask"]["accuracy"]
    assert published.results["localisation"]["att1"] == results["localisation"]["att1"]

    for command, said in (
        (["evaluate", str(trained), *options, "--masks", str(tmp_path)], "leave out --masks"),
        (["grade", str(next(knee_folder.rglob("*.png"))), "--model", str(trained / "model.h5")],
         "it grades no films"),
        (["info", str(trained / "model.h5")], "joints displaced"),
    ):  # fmt: skip
        try:
            main(command)
        except SystemExit as refused:
            assert refused.code == 2
        printed = capsys.readouterr()
        assert said in printed.out + printed.err
