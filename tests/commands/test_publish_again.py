"""What `knee-attention publish` replaces, keeps and refuses."""

import json
import os
import shutil
from pathlib import Path

import pytest
from small_trainings import contents, edited, publish

from knee_attention.errors import InputError
from knee_attention.runs.finished.published_runs import read_runs
from knee_attention.runs.finished.published_set import PublishedSet
from knee_attention.runs.finished.publishing import publish as publish_run


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
    for other, run in after.items():
        assert run.results == before[other].results
        assert run.predictions.equal(before[other].predictions)
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
