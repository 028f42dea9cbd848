"""`knee-attention publish`: what it writes, replaces, keeps and refuses; tables and findings."""

import csv
import json
import os
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_trainings import ONE, contents, edit_json, edited, publish
from stand_ins import EXPERIMENTS

from knee_attention.commands.scripts.findings import main as findings
from knee_attention.commands.scripts.tables import main as tables
from knee_attention.commands.scripts.weight_search import main as weight_search
from knee_attention.errors import InputError
from knee_attention.evidence.paper import PAPER_TABLE_1
from knee_attention.evidence.predictions import read_predictions
from knee_attention.runs.finished.published_runs import by_experiment, read_runs
from knee_attention.runs.finished.published_set import PublishedSet
from knee_attention.runs.finished.publishing import publish as publish_run
from knee_attention.runs.run import run
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.tables import published_table

SCRIPTS = [
    EXPERIMENTS / f"run_{backbone}_{variant}.py"
    for backbone, variants in PAPER_TABLE_1.items()
    for variant in variants
]
pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


def shown_table(folder, capsys):
    capsys.readouterr()
    tables("table1", SCRIPTS, ["--from", str(folder)])
    return capsys.readouterr().out


def full_table(folder):
    experiments = [runpy.run_path(str(script))["EXPERIMENT"] for script in SCRIPTS]
    return published_table("table1", read_runs(folder), experiments)


def edit_table(path, column, value, row=0):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_set_holds_all_results_in_a_few_tables(finished_runs, published):
    assert sorted(contents(published)) == [
        "attention.csv", "histories.csv", "knees.csv", "metrics.csv",
        "predictions/antony_clsf_att1.csv", "predictions/antony_clsf_multiloss.csv", "runs.csv",
    ]  # fmt: skip
    found = read_runs(published)
    assert list(found) == sorted(path.name for path in finished_runs.iterdir())
    for name, ours in found.items():
        exact = RunFolder(finished_runs / name).read()
        order = np.argsort(exact.predictions.files)
        command = [Path(word).name for word in exact.environment["command"]]
        assert ours.environment == exact.environment | {"command": command}
        assert ours.experiment == exact.experiment
        assert ours.results["localisation"] == exact.results["localisation"]
        for output, values in exact.predictions.probabilities.items():
            np.testing.assert_allclose(ours.predictions.of(output), values[order], atol=5.1e-5)
            for split in ("validation", "test"):
                metrics = ours.results[split][output]
                assert metrics.items() <= exact.results[split][output].items()
        for knees in ("files", "subjects", "grades"):
            held = [getattr(exact.predictions, knees)[place] for place in order]
            assert list(getattr(ours.predictions, knees)) == held
        with RunFolder(finished_runs / name).history.open(newline="") as file:
            history = [{key: float(cell) for key, cell in row.items()}
                       for row in csv.DictReader(file)]  # fmt: skip
        assert PublishedSet(published).history(name) == history


def test_no_path_of_a_machine_is_published(knee_folder, tmp_path, monkeypatch):
    script = tmp_path / "somewhere" / "run_antony_clsf_att1.py"
    words = [str(script), "--data", str(knee_folder), f"--data={knee_folder}"]
    monkeypatch.setattr("sys.argv", words)
    (knee_folder / "train" / "1" / "broken.png").write_bytes(b"")
    experiment = replace(ONE, data=str(knee_folder))
    run(experiment, tmp_path / "run")
    publish(tmp_path / "run", "--to", tmp_path / "results")
    for name, content in contents(tmp_path / "results").items():
        assert str(tmp_path).encode() not in content, name
    found = read_runs(tmp_path / "results")["run"]
    assert found.experiment["data"] == "knees"
    assert found.environment["command"] == [script.name, "--data", "knees", "--data=knees"]
    unreadable = (tmp_path / "results" / "unreadable.csv").read_text()
    assert "train/1/broken.png,the file is empty" in unreadable


def test_a_run_that_started_from_another_names_it(finished_runs, tmp_path):
    """The published path of the initial weights ends in the name of their run."""
    shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "later")
    for folder, said in (("antony_clsf_att1", "antony_clsf_att1/model.h5"), ("ann", "model.h5")):
        weights = str(finished_runs / folder / "model.h5")
        edit_json(tmp_path / "later" / "experiment.json", weights=weights)
        publish(tmp_path / "later", "--to", tmp_path / "results", "--overwrite")
        assert read_runs(tmp_path / "results")["later"].experiment["weights"] == said


def test_published_trainings_are_read_by_the_name_without_their_seed(published, tmp_path):
    found = by_experiment(read_runs(published))
    assert {name: len(runs) for name, runs in found.items()}["antony_clsf_multiloss"] == 2
    with pytest.raises(InputError, match="no published run"):
        by_experiment(read_runs(tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        by_experiment(read_runs(tmp_path / "nowhere"))


def test_trainings_of_one_name_differ_in_nothing_but_their_seed(published):
    edit_table(published / "runs.csv", "weights", "elsewhere/other.h5", row=-1)
    with pytest.raises(InputError, match=r"seed1: cannot be shown .* differ \(weights scratch -> "
                                         "other.h5"):
        by_experiment(read_runs(published))


def test_findings_of_published_runs_are_printed_drawn_and_written(
    finished_runs, tmp_path, capsys, refused
):
    published = tmp_path / "results"
    for name in ("antony_clsf_att1", "antony_clsf_multiloss"):
        publish(finished_runs / name, "--to", published)
    study = ({"table1": EXPERIMENTS / "run_table1.py"}, {}, {}, {}, {}, {})
    findings(*study, ["--from", str(published), "--curves", str(tmp_path / "c.png"), "--readme"])
    table = "Antony clsf.: multi-loss - att1 alone | "
    assert table in capsys.readouterr().out
    assert (tmp_path / "c.png").stat().st_size > 10_000
    page = (published / "README.md").read_text(encoding="utf-8")
    assert table in page
    assert "| [runs.csv](runs.csv) |" in page and "| antony_clsf_att1 | 0 |" in page
    shown, known = shown_table(published, capsys), full_table(published)
    titles = known.splitlines()[2]
    assert titles in page and shown.splitlines()[0] == known.splitlines()[0]
    assert titles.endswith(" minutes |") and " minutes |" not in shown
    for arguments, said in ((["--from", str(tmp_path / "nowhere")], "no such folder"),
                            (["--from", str(published), "--curves", "c.txt"], "ends in .png")):
        assert said in refused(findings, *study, arguments)


def test_the_table_of_published_runs_is_that_of_the_runs(finished_runs, published, capsys):
    table = shown_table(published, capsys)
    assert "10 test knees (synthetic phantoms)" in table
    lines = [line for line in table.splitlines() if line.startswith("| Antony clsf.")]
    assert [line.split(" | ")[1] for line in lines] == [
        "att1", "multi-loss att1", "multi-loss att2"
    ]  # fmt: skip
    found = [
        json.loads((finished_runs / name / "results.json").read_text())["test"]["att2"]["accuracy"]
        for name in ("antony_clsf_multiloss", "antony_clsf_multiloss-seed1")
    ]
    assert lines[2].split(" | ")[2].startswith(f"{100 * np.mean(found):.1f}")
    assert "published runs that are not in this table: 1" in table
    assert "not run yet: antony_clsf_att0" in table


def test_a_published_search_is_printed(finished_runs, published, tmp_path, capsys, refused):
    for weights in ([1.0, 0.8], [0.5, 1.0]):
        cell = tmp_path / "w{:g}-{:g}".format(*weights)
        edited(finished_runs / "antony_clsf_multiloss", cell, loss_weights=weights)
        publish(cell, "--to", tmp_path / "search")
    scripts = [EXPERIMENTS / "run_antony_clsf_multiloss.py"]
    weight_search(scripts, ["--from", str(tmp_path / "search")])
    shown = capsys.readouterr().out
    assert "antony_clsf_multiloss, synthetic phantoms: 2 trainings\n" in shown
    assert "The best validation att1 loss is " in shown
    for options, said in ((["--from", str(published)], "no published weight search"),
                          (["--from", str(published), "--seeds", "2"], "leave out --seeds")):
        assert said in refused(weight_search, scripts, options)


def test_a_run_whose_time_is_not_known_keeps_its_row(published):
    before = full_table(published)
    edit_table(published / "runs.csv", "wall_seconds", "")
    after = full_table(published)
    assert len(after.splitlines()) == len(before.splitlines())
    assert after.splitlines()[4].split(" | ")[:-1] == before.splitlines()[4].split(" | ")[:-1]
    assert after != before


def test_on_phantoms_every_backbone_has_its_own_setting(finished_runs, published, tmp_path, capsys):
    other = edited(finished_runs / "antony_clsf_att1", tmp_path / "vgg16_att1", name="vgg16_att1",
                   backbone="vgg16", image_size=[64, 64])  # fmt: skip
    publish(other, "--to", published)
    assert "| VGG-16 | att1 |" in shown_table(published, capsys)


@pytest.mark.parametrize(("table", "column", "value", "said"), [
    ("runs.csv", "split", "training", "the tables are damaged at antony_clsf_att1"),
    ("runs.csv", "run", "other", "the tables are damaged at other"),
    ("metrics.csv", "run", "other", "the tables are damaged at antony_clsf_att1"),
    ("metrics.csv", "accuracy", "0.999", "but 0.999 in metrics.csv"),
    ("runs.csv", "knees", "11", "10 knees, metrics.csv has 11"),
    ("runs.csv", "augment", "strong", "(augment strong -> flips)"),
    ("knees.csv", "file", "other", "the tables are damaged at"),
    ("predictions/antony_clsf_att1.csv", "antony_clsf_att1/att1_p1", "x", "tables are damaged at"),
])  # fmt: skip
def test_a_damaged_table_is_refused(published, refused, table, column, value, said):
    for row in range(2 if table == "metrics.csv" else 1):
        edit_table(published / table, column, value, row)
    assert said in refused(tables, "table1", SCRIPTS, ["--from", str(published)])


def test_a_run_under_the_name_of_another_experiment_is_refused(finished_runs, tmp_path, refused):
    other = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "antony_clsf_att2")
    publish(other, "--to", tmp_path / "results")
    said = refused(tables, "table1", SCRIPTS, ["--from", str(tmp_path / "results")])
    assert "holds a run of antony_clsf_att1, not of antony_clsf_att2" in said


def test_folders_without_a_run_of_the_table(tmp_path, refused):
    for name, content in (("empty", "run,name\n"), ("foreign", "date,kilometres\nMonday,10\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "runs.csv").write_text(content)
    for folder, said in ((tmp_path, "no published run"), (tmp_path / "nowhere", "no such folder"),
                         (tmp_path / "empty", "empty: no published run"),
                         (tmp_path / "foreign", "the tables are damaged at runs.csv")):
        assert said in refused(tables, "table1", SCRIPTS, ["--from", str(folder)])


def test_a_knee_of_any_name_is_published(finished_runs, tmp_path):
    named = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "antony_clsf_att1")
    table = (named / "predictions.csv").read_bytes()
    known = read_predictions(named / "predictions.csv")
    (named / "predictions.csv").write_bytes(table.replace(known.files[0].encode(), b"kn\xe9e.png"))
    publish(named, "--to", tmp_path / "results")
    found = read_runs(tmp_path / "results")["antony_clsf_att1"].predictions
    assert set(found.files) == {os.fsdecode(b"kn\xe9e.png"), *known.files[1:]}


def test_the_same_run_published_twice_changes_nothing(finished_runs, published, capsys):
    before = contents(published)
    publish(*finished_runs.iterdir(), "--to", published)
    publish(*finished_runs.iterdir(), "--to", published, "--overwrite")
    assert contents(published) == before
    assert capsys.readouterr().out.count(f"already published in {published}") == 8


def test_the_order_in_which_runs_are_published_does_not_matter(finished_runs, published, tmp_path):
    publish(*sorted(finished_runs.iterdir(), reverse=True), "--to", tmp_path / "backwards")
    for name in ("runs.csv", "metrics.csv", "knees.csv", "predictions/antony_clsf_multiloss.csv"):
        assert contents(tmp_path / "backwards")[name] == contents(published)[name]


@pytest.mark.parametrize("name", ["antony_clsf_multiloss", "antony_clsf_att1"])
def test_a_newer_result_replaces_the_rows_of_a_run_when_asked(
    finished_runs, published, tmp_path, refused, name
):
    newer = tmp_path / "newer" / "antony_clsf_multiloss"
    edited(finished_runs / "antony_clsf_att1", newer, name=name, seed=5)
    said = refused("publish", newer, "--to", published)
    assert "another antony_clsf_multiloss is published there; --overwrite replaces it" in said
    before = read_runs(published)
    publish(newer, "--to", published, "--overwrite")
    after = read_runs(published)
    replaced = after.pop("antony_clsf_multiloss")
    assert list(replaced.outputs) == ["att1"] and replaced.experiment["seed"] == 5
    for other, found in after.items():
        assert found.results == before[other].results
        assert found.predictions.equal(before[other].predictions)
    kept = PublishedSet(published).table("predictions/antony_clsf_multiloss.csv").columns
    assert not [column for column in kept if column.startswith("antony_clsf_multiloss/att2")]


def test_seeds_that_draw_other_knees_keep_their_own(finished_runs, published, tmp_path):
    """Phantoms of another seed have the same names and other grades."""
    other = edited(finished_runs / "antony_clsf_att1", tmp_path / "antony_clsf_att1-seed2", seed=2)
    lines = (other / "predictions.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines]
    for row in cells[1:3]:
        row[2] = str((int(row[2]) + 1) % 5)
    (other / "predictions.csv").write_text("\n".join(map(",".join, cells)) + "\n")
    grades = {row[0]: int(row[2]) for row in cells[1:]}
    results = json.loads((other / "results.json").read_text())
    predicted = [max(range(5), key=lambda grade: float(row[3 + grade])) for row in cells[1:]]
    hits = sum(a == b for a, b in zip(predicted, grades.values(), strict=True))
    results["test"]["att1"]["accuracy"] = hits / len(grades)
    (other / "results.json").write_text(json.dumps(results))
    first = read_runs(published)["antony_clsf_att1"].predictions
    publish(other, "--to", published)
    found = read_runs(published)
    known = found["antony_clsf_att1-seed2"].predictions
    assert dict(zip(known.files, known.grades.tolist(), strict=True)) == grades
    assert found["antony_clsf_att1"].predictions.equal(first)


def test_the_data_of_expert_masks_are_not_those_of_phantoms(finished_runs, tmp_path):
    run = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "run")
    masks = {"data": "films", "split": "train", "knees": 2, "exact": {"att1": {"covered": 0.5}}}
    (run / "expert_masks.json").write_text(json.dumps(masks))
    publish(run, "--to", tmp_path / "results")
    rows = PublishedSet(tmp_path / "results").table("attention.csv").rows
    about = {row["joint"]: [row[name] for name in ("data", "split", "knees")] for row in rows}
    assert about == {"exact": ["films", "train", "2"], "phantom": ["", "", ""]}


def test_a_copy_is_no_further_training(finished_runs, published, tmp_path, refused):
    copy = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "antony_clsf_att1-seed9")
    said = refused("publish", copy, "--to", published)
    assert "antony_clsf_att1-seed9: has the seed of antony_clsf_att1, which is published" in said


def test_runs_on_other_data_are_not_published_beside(finished_runs, published, tmp_path, refused):
    run = finished_runs / "antony_clsf_att1"
    other = edited(run, tmp_path / "antony_clsf_att2", data="/somewhere/knees")
    assert "holds runs on synthetic phantoms" in refused("publish", other, "--to", published)


def test_a_knee_has_one_person(finished_runs, published, tmp_path, refused):
    other = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "other")
    table = other / "predictions.csv"
    table.write_text(table.read_text().replace(",test0000,", ",test9999,"))
    said = refused("publish", other, "--to", published)
    assert "knees.csv: test/phantom0000_R is of person test0000 and not test9999" in said


@pytest.mark.parametrize("moved", [0, 1, 4])
def test_a_publication_that_is_killed_leaves_the_old_state_or_the_new_one(
    finished_runs, published, tmp_path, monkeypatch, moved
):
    """Whether it is killed before its tables become valid, or while they move to their places."""
    newer = tmp_path / "newer" / "antony_clsf_multiloss"
    edited(finished_runs / "antony_clsf_att1", newer, name="antony_clsf_multiloss")
    old = read_runs(published)["antony_clsf_multiloss"]
    calls = []

    class Killed(BaseException):
        """A signal that ends the process."""

    def kill(replace):
        def call(path, target):
            if len(calls) == moved:
                raise Killed
            calls.append(target)
            return replace(path, target)

        return call

    with monkeypatch.context() as patched:
        name = "replace" if moved else "rename"
        patched.setattr(Path, name, kill(getattr(Path, name)))
        with pytest.raises(Killed):
            publish_run(newer, published, overwrite=True)
    found = read_runs(published)["antony_clsf_multiloss"]
    assert list(found.outputs) == (["att1"] if moved else list(old.outputs))
    assert publish_run(newer, published, overwrite=True) is (not moved)
    assert list(read_runs(published)["antony_clsf_multiloss"].outputs) == ["att1"]
    assert not list(published.glob(".*"))


def test_a_publication_that_fails_leaves_what_was_there(
    finished_runs, published, tmp_path, monkeypatch
):
    newer = edited(finished_runs / "antony_clsf_att1", tmp_path / "antony_clsf_att1", seed=5)
    before = contents(published)

    def fail(path, target):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match="cannot be written: Input/output error"):
        publish_run(newer, published, overwrite=True)
    assert contents(published) == before and not list(published.glob(".*"))


def test_publishing_replaces_no_other_files(finished_runs, tmp_path, refused):
    run = finished_runs / "antony_clsf_att1"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "knees.csv").write_text("dear")
    said = refused("publish", run, "--to", tmp_path / "own", "--overwrite")
    assert "knees.csv: not a table of published runs" in said
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / "runs.csv").write_text("date,kilometres\nMonday,10\n")
    said = refused("publish", run, "--to", tmp_path / "running", "--overwrite")
    assert "runs.csv: not a table of published runs" in said
    trained = shutil.copytree(run, tmp_path / "trained")
    said = refused("publish", run, "--to", trained, "--overwrite")
    assert "the folder of a run; choose another --to" in said
    assert contents(trained) == contents(run)
    assert os.listdir(tmp_path / "own") == ["knees.csv"]


def test_what_is_no_finished_run_is_not_published(finished_runs, tmp_path, refused):
    unfinished = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "unfinished")
    target = ("--to", tmp_path / "results")
    (unfinished / "history.csv").unlink()
    assert "it has no history.csv" in refused("publish", unfinished, *target)
    (unfinished / "results.json").unlink()
    said = refused("publish", unfinished, *target)
    assert "the run is not finished (it has no results.json)" in said
    assert "no such folder" in refused("publish", tmp_path / "nowhere", *target)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("name", "content", "said"), [
    ("results.json", '{"split": ', "results.json: a damaged file"),
    ("results.json", "{}", "a damaged run"),
    ("experiment.json", "{}", "its experiment.json has no name"),
    ("audit.json", '{"branches": {"att1": {}}}', "a damaged run"),
    ("audit.json", '{"branches": []}', "a damaged run"),
])  # fmt: skip
def test_a_damaged_run_is_not_published(finished_runs, tmp_path, refused, name, content, said):
    damaged = shutil.copytree(finished_runs / "antony_clsf_att1", tmp_path / "damaged")
    (damaged / name).write_text(content)
    assert said in refused("publish", damaged, "--to", tmp_path / "results")
    assert not (tmp_path / "results").exists()
