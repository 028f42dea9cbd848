"""`knee-attention publish`, and the table that is made from published runs alone."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from knee_attention.commands.cli import main
from knee_attention.commands.scripts.findings import main as findings
from knee_attention.commands.scripts.tables import main as tables
from knee_attention.errors import InputError
from knee_attention.evidence.paper import PAPER_TABLE_1
from knee_attention.evidence.predictions import read_predictions
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.publishing import publish as publish_run
from knee_attention.runs.finished.publishing import read_published
from knee_attention.runs.run import run

SCRIPTS = [
    Path(__file__).parents[2] / "experiments" / f"run_{backbone}_{variant}.py"
    for backbone, variants in PAPER_TABLE_1.items()
    for variant in variants
]
ONE = Experiment(backbone="antony_clsf", branches=("att1",), image_size=(96, 96), epochs=1,
                 batch_size=10, limit=10, precision="float32")  # fmt: skip
TWO = replace(ONE, branches=("att1", "att2"), fusion="multi_loss", loss_weights=(1.0, 0.8))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs under the names that run_table1.py gives."""
    folder = tmp_path_factory.mktemp("runs")
    run(ONE, folder / "antony_clsf_att1")
    run(TWO, folder / "antony_clsf_multiloss")
    for name, option, value in (("antony_clsf_multiloss", "seed", 1),
                                ("antony_clsf_att1", "augment", "strong")):  # fmt: skip
        # What a further training would have found is of no matter here.
        copy = folder / f"{name}-{option}1".replace("augment1", "strong")
        shutil.copytree(folder / name, copy)
        experiment = json.loads((copy / "experiment.json").read_text())
        (copy / "experiment.json").write_text(json.dumps(experiment | {option: value}))
    return folder


def publish(*arguments):
    main(["publish", *map(str, arguments)])


@pytest.fixture
def published(runs, tmp_path):
    publish(*sorted(runs.iterdir()), "--to", tmp_path / "results")
    return tmp_path / "results"


def shown_table(folder, capsys):
    capsys.readouterr()
    tables(1, SCRIPTS, ["--from", str(folder)])
    return capsys.readouterr().out


def test_a_published_run_holds_what_was_found_and_no_weights(runs, published):
    ours, theirs = published / "antony_clsf_multiloss", runs / "antony_clsf_multiloss"
    assert sorted(path.name for path in ours.iterdir()) == [
        "environment.json", "experiment.json", "history.csv", "predictions.csv", "results.json",
    ]  # fmt: skip
    assert (ours / "results.json").read_bytes() == (theirs / "results.json").read_bytes()
    rounded, exact = (read_predictions(folder / "predictions.csv") for folder in (ours, theirs))
    for output, values in exact.probabilities.items():
        np.testing.assert_allclose(rounded.probabilities[output], values, atol=5.1e-5)
    table = pd.read_csv(ours / "predictions.csv", dtype=str)
    assert table["att1_p0"].str.fullmatch(r"[01]\.\d{4}").all()
    assert (rounded.files, rounded.subjects) == (exact.files, exact.subjects)


def test_no_path_of_a_machine_is_published(knee_folder, tmp_path, monkeypatch):
    script = tmp_path / "somewhere" / "run_antony_clsf_att1.py"
    words = [str(script), "--data", str(knee_folder), f"--data={knee_folder}"]
    monkeypatch.setattr("sys.argv", words)
    (knee_folder / "train" / "1" / "broken.png").write_bytes(b"")
    run(replace(ONE, data=str(knee_folder), limit=None), tmp_path / "run")
    publish(tmp_path / "run", "--to", tmp_path / "results")
    for path in (tmp_path / "results" / "run").iterdir():
        assert str(tmp_path) not in path.read_text(encoding="utf-8"), path.name
    experiment = json.loads((tmp_path / "results" / "run" / "experiment.json").read_text())
    assert experiment["data"] == "knees"
    environment = json.loads((tmp_path / "results" / "run" / "environment.json").read_text())
    assert environment["command"] == [script.name, "--data", "knees", "--data=knees"]
    unreadable = (tmp_path / "results" / "run" / "unreadable.csv").read_text()
    assert "train/1/broken.png,the file is empty" in unreadable


def test_a_run_that_started_from_another_names_it(runs, tmp_path):
    """Of a model's path its run remains, so that the results say where the weights come from."""
    shutil.copytree(runs / "antony_clsf_att1", tmp_path / "later")
    path = tmp_path / "later" / "experiment.json"
    for folder, said in (("antony_clsf_att1", "antony_clsf_att1/model.h5"), ("ann", "model.h5")):
        weights = str(runs / folder / "model.h5")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": weights}))
        publish(tmp_path / "later", "--to", tmp_path / "results", "--overwrite")
        kept = json.loads((tmp_path / "results" / "later" / "experiment.json").read_text())
        assert kept["weights"] == said


def test_published_trainings_are_read_by_the_name_without_their_seed(published, tmp_path):
    found = read_published(published)
    assert {name: len(runs) for name, runs in found.items()}["antony_clsf_multiloss"] == 2
    with pytest.raises(InputError, match="no published run"):
        read_published(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_published(tmp_path / "nowhere")


def test_trainings_of_one_name_differ_in_nothing_but_their_seed(published):
    path = published / "antony_clsf_multiloss-seed1" / "experiment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": "elsewhere/other.h5"}))
    with pytest.raises(InputError, match=r"seed1: cannot be shown .* its weights is 'other.h5' and "
                                         "not 'scratch'"):
        read_published(published)


def test_findings_of_published_runs_are_printed_and_drawn(published, tmp_path, capsys):
    findings(["--from", str(published), "--curves", str(tmp_path / "curves.png")])
    assert "Antony clsf.: multi-loss - att1 alone | " in capsys.readouterr().out
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    for arguments, said in ((["--from", str(tmp_path / "nowhere")], "no such folder"),
                            (["--from", str(published), "--curves", "c.txt"], "ends in .png")):
        with pytest.raises(SystemExit):
            findings(arguments)
        assert f"{said}" in capsys.readouterr().err


def test_the_table_of_published_runs_is_that_of_the_runs(runs, published, capsys):
    table = shown_table(published, capsys)
    assert table == shown_table(runs, capsys)
    assert "10 test knees (synthetic phantoms)" in table
    lines = [line for line in table.splitlines() if line.startswith("| Antony clsf.")]
    assert [line.split(" | ")[1] for line in lines] == [
        "att1", "multi-loss att1", "multi-loss att2"
    ]  # fmt: skip
    found = [
        json.loads((published / name / "results.json").read_text())["test"]["att2"]["accuracy"]
        for name in ("antony_clsf_multiloss", "antony_clsf_multiloss-seed1")
    ]
    assert lines[2].split(" | ")[2].startswith(f"{100 * np.mean(found):.1f}")
    assert "published beside this table: antony_clsf_att1-strong" in table
    assert "not run yet: antony_clsf_att0" in table


def test_a_copied_run_is_no_further_training(published, capsys):
    """Neither of the table, which says so, nor of the findings."""
    shutil.rmtree(published / "antony_clsf_multiloss-seed1")
    before = shown_table(published, capsys)
    assert "(trainings: 1 against 1)" in before
    shutil.copytree(published / "antony_clsf_multiloss", published / "antony_clsf_multiloss-seed1")
    after = shown_table(published, capsys).splitlines()
    note = "- left out: antony_clsf_multiloss-seed1 is a copy of antony_clsf_multiloss"
    assert note in after
    assert [line for line in after if line != note] == before.splitlines()
    with pytest.raises(InputError, match="seed1: is a copy of antony_clsf_multiloss, which is no"):
        read_published(published)


def test_a_run_is_known_in_its_published_form(runs, published, capsys):
    """Probabilities are rounded there."""
    shutil.copytree(runs / "antony_clsf_multiloss", published / "antony_clsf_multiloss-seed2")
    assert "seed2 is a copy of antony_clsf_multiloss" in shown_table(published, capsys)


def test_a_run_whose_time_is_not_known_keeps_its_row(published, capsys):
    before = shown_table(published, capsys)
    (published / "antony_clsf_att1" / "environment.json").unlink()
    after = shown_table(published, capsys)
    assert len(after.splitlines()) == len(before.splitlines())
    assert after.splitlines()[4].split(" | ")[:-1] == before.splitlines()[4].split(" | ")[:-1]
    assert after != before


def test_on_phantoms_every_backbone_has_its_own_setting(published, capsys):
    other = published / "vgg16_att1"
    shutil.copytree(published / "antony_clsf_att1", other)
    experiment = json.loads((other / "experiment.json").read_text())
    experiment |= {"name": "vgg16_att1", "backbone": "vgg16", "image_size": [64, 64]}
    (other / "experiment.json").write_text(json.dumps(experiment))
    assert "| VGG-16 | att1 |" in shown_table(published, capsys)


def test_published_twice_only_when_asked_for(runs, published, refused):
    run_folder = runs / "antony_clsf_att1"
    assert "published before" in refused("publish", run_folder, "--to", published)
    history = published / "antony_clsf_att1" / "history.csv"
    history.write_text("other")
    publish(run_folder, "--to", published, "--overwrite")
    assert history.read_text() != "other"
    assert "published already" in refused("publish", published / "antony_clsf_att1", "--to",
                                          published, "--overwrite")  # fmt: skip


def test_runs_on_other_data_are_not_published_beside(runs, published, tmp_path, refused):
    other = tmp_path / "antony_clsf_att2"
    shutil.copytree(runs / "antony_clsf_att1", other)
    path = other / "experiment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": "/somewhere/knees"}))
    assert "holds runs on synthetic phantoms" in refused("publish", other, "--to", published)


def test_a_publication_that_was_killed_is_repeated_and_leaves_nothing(runs, published):
    kept = published / "antony_clsf_att1"
    shutil.copytree(kept, published / ".123.new.antony_clsf_att1")
    kept.rename(published / ".123.old.antony_clsf_att1")
    assert "antony_clsf_att1" not in read_published(published)
    publish(runs / "antony_clsf_att1", "--to", published)
    assert not list(published.glob(".*")) and kept.is_dir()


def test_a_publication_that_fails_leaves_what_was_there(runs, published, monkeypatch):
    kept = published / "antony_clsf_att1"
    before = (kept / "history.csv").read_bytes()
    rename = Path.rename

    def fail(path, target):
        if ".new." in path.name:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match="cannot be written: Input/output error"):
        publish_run(runs / "antony_clsf_att1", published, overwrite=True)
    assert (kept / "history.csv").read_bytes() == before and not list(published.glob(".*"))


def test_overwriting_removes_nothing_but_what_was_published(runs, tmp_path, refused):
    run_folder = runs / "antony_clsf_att1"
    trained = tmp_path / "trained" / "antony_clsf_att1"
    shutil.copytree(run_folder, trained)
    said = refused("publish", run_folder, "--to", trained.parent, "--overwrite")
    assert "is there and is no published run, it holds figures" in said
    own = tmp_path / "own" / "antony_clsf_att1"
    own.mkdir(parents=True)
    (own / "diary.txt").write_text("dear")
    said = refused("publish", run_folder, "--to", own.parent, "--overwrite")
    assert "it holds diary.txt" in said
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "antony_clsf_att1").symlink_to(trained)
    refused("publish", run_folder, "--to", tmp_path / "link", "--overwrite")
    assert (trained / "model.h5").exists() and (own / "diary.txt").exists()


def test_what_is_no_finished_run_is_not_published(runs, tmp_path, refused):
    unfinished = tmp_path / "unfinished"
    shutil.copytree(runs / "antony_clsf_att1", unfinished)
    (unfinished / "results.json").unlink()
    target = ("--to", tmp_path / "results")
    said = refused("publish", unfinished, *target)
    assert "the run is not finished (it has no results.json)" in said
    assert "no such folder" in refused("publish", tmp_path / "nowhere", *target)
    assert not (tmp_path / "results").exists()


def edit_results(folder, change):
    path = folder / "results.json"
    results = json.loads(path.read_text())
    change(results)
    path.write_text(json.dumps(results))


@pytest.mark.parametrize(("harm", "said"), [
    (lambda run: (run / "results.json").unlink(), "it has no results.json"),
    (lambda run: (run / "results.json").write_text('{"split": '), "results.json: a damaged file"),
    (lambda run: (run / "results.json").write_text("{}"), "a damaged run"),
    (lambda run: (run / "experiment.json").write_text("{}"), "holds a run of None"),
    (lambda run: edit_results(run, lambda r: r["test"]["att1"].update(accuracy=0.999)),
     "0.999 in results.json"),
    (lambda run: edit_results(run, lambda r: r.update(knees=11)), "results.json has 11"),
    (lambda run: (run / "experiment.json").write_text(
        (run / "experiment.json").read_text().replace("antony_clsf_att1", "antony_clsf_att2")),
     "holds a run of antony_clsf_att2"),
    (lambda run: (run / "experiment.json").write_text(
        (run / "experiment.json").read_text().replace('"flips"', '"strong"')),
     "its augment is"),
])  # fmt: skip
def test_a_damaged_or_foreign_run_ends_the_table_with_a_sentence(published, capsys, harm, said):
    harm(published / "antony_clsf_att1")
    with pytest.raises(SystemExit) as ended:
        shown_table(published, capsys)
    shown = capsys.readouterr().err
    assert ended.value.code == 2 and said in shown and "Traceback" not in shown


def test_folders_without_a_run_of_the_table(tmp_path, capsys):
    for folder, said in ((tmp_path, "no published run of Table 1"),
                         (tmp_path / "nowhere", "no such folder")):  # fmt: skip
        with pytest.raises(SystemExit):
            shown_table(folder, capsys)
        assert said in capsys.readouterr().err


def test_a_knee_of_any_name_is_published(runs, tmp_path):
    named = tmp_path / "antony_clsf_att1"
    shutil.copytree(runs / "antony_clsf_att1", named)
    table = (named / "predictions.csv").read_bytes()
    known = read_predictions(named / "predictions.csv")
    (named / "predictions.csv").write_bytes(table.replace(known.files[0].encode(), b"kn\xe9e.png"))
    publish(named, "--to", tmp_path / "results")
    found = read_predictions(tmp_path / "results" / "antony_clsf_att1" / "predictions.csv")
    assert found.files == [os.fsdecode(b"kn\xe9e.png"), *known.files[1:]]
