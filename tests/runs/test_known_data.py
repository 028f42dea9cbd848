"""A run is resumed, shown and compared only on the data with which it started."""

import shutil
from dataclasses import replace

import pytest

from knee_attention.commands.scripts.experiment import main
from knee_attention.commands.scripts.sweeps import run_cells, take_queue_options
from knee_attention.datasets.fingerprint import dataset_records, write_records
from knee_attention.errors import InputError
from knee_attention.files import write_json
from knee_attention.runs.experiment import DEFAULT_OPTIONS, Experiment
from knee_attention.runs.known_data import refuse_other_data, remark_on_data, trained_on
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import finished_of, run_in_turn

QUICK = Experiment(backbone="antony_clsf", image_size=(96, 96), precision="float32")


@pytest.fixture
def start(knee_folder, tmp_path, monkeypatch):
    """Start or resume the run up to its training."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("knee_attention.runs.run.train", stop)

    def start(*options):
        with pytest.raises(SystemExit) as ended:
            main(QUICK, ["--data", str(knee_folder), "--output", str(tmp_path / "run"), *options])
        return {130: "trains", 2: "refused"}[ended.value.code]

    return start


def split_anew(data):
    """The same knees in other splits, as with another seed."""
    for grade in range(5):
        first, second = (data / split / str(grade) for split in ("train", "test"))
        for side in "RL":
            (first / f"train{grade}0{side}.png").rename(second / f"train{grade}0{side}.png")
            (second / f"test{grade}0{side}.png").rename(first / f"test{grade}0{side}.png")


def relabel(data):
    (data / "test/0/test00R.png").rename(data / "test/4/test00R.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [(split_anew, "20 of 40 images in another split (the first test00L.png)"),
     (relabel, "1 of 40 images with another label (the first test00R.png)")],
)  # fmt: skip
def test_a_killed_run_refuses_other_data(knee_folder, tmp_path, start, capsys, change, said):
    assert start() == "trains"
    recorded = (tmp_path / "run" / "data.csv").read_bytes()
    change(knee_folder)
    assert start() == "refused"
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"run: {knee_folder} has changed since this run started: {said}; choose" in sentence
    assert (tmp_path / "run" / "data.csv").read_bytes() == recorded
    assert start("--overwrite") == "trains"
    assert (tmp_path / "run" / "data.csv").read_bytes() != recorded


def test_a_killed_run_of_the_same_data_or_of_an_earlier_version_goes_on(
    knee_folder, tmp_path, start
):
    start()
    kept = tmp_path / "run" / "data.csv"
    recorded = kept.read_bytes()
    (knee_folder / "validation").rename(knee_folder / "val")
    assert start() == "trains"
    kept.unlink()
    relabel(knee_folder)
    assert start() == "trains" and kept.read_bytes() != recorded


@pytest.fixture
def cells(knee_folder, tmp_path):
    """A sweep with one finished cell."""
    experiment = replace(QUICK, data=str(knee_folder))
    run = RunFolder(tmp_path / "sweep" / "cell")
    run.begin(experiment, [])
    write_records(run.data_file, dataset_records(knee_folder))
    losses = {"att0": {"cross_entropy": 1.0}}
    write_json(run.results_file, {"name": experiment.name, "split": "test", "test": {},
                                  "validation": losses})  # fmt: skip
    return {"cell": experiment}


def run_alone(cells, tmp_path):
    return run_in_turn(cells, tmp_path / "sweep", DEFAULT_OPTIONS, lambda failed: None)


def test_a_finished_run_is_not_shown_for_other_data(cells, knee_folder, tmp_path, capsys):
    assert run_alone(cells, tmp_path) == {}
    relabel(knee_folder)
    [reason] = run_alone(cells, tmp_path).values()
    assert "1 of 40 images with another label" in reason
    shutil.rmtree(knee_folder)
    capsys.readouterr()
    assert run_alone(cells, tmp_path) == {}
    assert "already finished;" in capsys.readouterr().out


def test_a_cell_of_other_data_is_in_no_table(cells, knee_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(RunFolder, "read", lambda run: "all of it")
    assert finished_of(cells, {}, tmp_path / "sweep") == {"cell": "all of it"}
    relabel(knee_folder)
    failed = {}
    assert finished_of(cells, failed, tmp_path / "sweep") == {}
    assert "has changed since this run started" in failed["cell"]


def test_a_queue_whose_cells_are_of_other_data_is_refused(cells, knee_folder, tmp_path):
    asked = take_queue_options(
        {"workers": 1, "storage": None, "status": False, "retry_failed": False, "worker": False}
    )
    relabel(knee_folder)
    with pytest.raises(InputError, match="cell: .* has changed since"):
        run_cells(cells, tmp_path / "sweep", asked, {}, lambda failed: None)


@pytest.mark.parametrize("limit", [None, 5])
def test_what_is_measured_elsewhere_is_compared_with_the_run_s_own(
    cells, knee_folder, tmp_path, limit
):
    run = RunFolder(tmp_path / "sweep" / "cell")
    copy = shutil.copytree(knee_folder, tmp_path / "elsewhere")
    assert remark_on_data(run, copy, "test", limit, 0) == ""
    for file in (copy / "test").glob("*/*"):
        file.unlink()
    for grade in range(5):
        for side in "RL":
            shutil.copy(copy / f"train/{grade}/train{grade}0{side}.png",
                        copy / f"test/{grade}/renamed{grade}{side}.png")  # fmt: skip
    difference, trained = remark_on_data(run, copy, "test", limit, 0).splitlines()
    assert f"elsewhere differs from the test split of {run.folder}: " in difference
    count = limit or 10
    assert trained.endswith(f"cell was trained on {count} of these {count} knees")
    assert remark_on_data(RunFolder(tmp_path), copy, "test", limit, 0) == ""


def test_data_that_are_gone_and_phantoms_are_no_other_data(tmp_path):
    run = RunFolder(tmp_path)
    run.data_file.write_text("split,file,label,digest\ntrain,a,0,1\n")
    refuse_other_data(run, Experiment(data=str(tmp_path / "gone")))
    refuse_other_data(run, Experiment())


def test_what_is_not_read_and_what_has_no_row_is_said_before_the_training(
    knee_folder, tmp_path, start, capsys
):
    for number in range(3):
        (knee_folder / f"train/0/film{number}_R.dcm").write_bytes(bytes(128) + b"DICM")
    (knee_folder / "manifest.csv").write_text("file,subject\nvalidation/0/validation00R.png,P\n")
    assert start() == "trains"
    said = capsys.readouterr().out
    assert "skipped 3 unreadable images (the first: " in said
    assert "warning: 39 of 40 images have no row in manifest.csv" in said
    assert (tmp_path / "run" / "unreadable.csv").read_text().count("a DICOM file") == 3


def test_the_films_of_a_training_are_known_by_their_content(knee_folder, tmp_path):
    run = RunFolder(tmp_path / "run")
    films = sorted(knee_folder.glob("t*/3/*.png"))
    assert {film.parts[-3] for film in films} == {"train", "test"}
    run.begin(QUICK, [])
    write_records(run.data_file, dataset_records(knee_folder))
    renamed = [film.rename(film.with_name(f"clinic{film.name}")) for film in films]
    trained = [film for film in renamed if film.parts[-3] == "train"]
    assert trained_on(run.folder, renamed) == trained
    (tmp_path / "data.csv").write_text("not,a,record")  # a table of somebody else
    assert trained_on(tmp_path, renamed) == []
