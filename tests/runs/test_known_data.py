"""The data of a run: how they are read and shown, and a run is resumed only on the same data."""

import shutil
from dataclasses import replace

import cv2
import pandas as pd
import pytest
from small_trainings import SMALL, results_of, run

from knee_attention.commands.scripts.sweeps import run_cells, take_queue_options
from knee_attention.datasets.fingerprint import dataset_records, write_records
from knee_attention.errors import InputError
from knee_attention.files import read_json, write_json
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.films.legs import split_knees
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import DEFAULT_OPTIONS, Experiment
from knee_attention.runs.known_data import refuse_other_data, remark_on_data, trained_on
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import finished_of, run_in_turn

trains = pytest.mark.usefixtures("eager", "blank_figures")

QUICK = Experiment(backbone="antony_clsf", image_size=(96, 96), precision="float32")


@pytest.fixture
def start(knee_folder, tmp_path, monkeypatch):
    """Starts or resumes a run up to its training, on `knee_folder` or on other data."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("knee_attention.runs.run.train", stop)

    def start(*options, data=knee_folder):
        with pytest.raises(SystemExit) as ended:
            run(QUICK, "--data", data, "--output", tmp_path / "run", *options)
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
        run_cells(cells, tmp_path / "sweep", asked, {}, lambda failed: None, "table")


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


def test_what_is_not_read_and_what_has_no_row_is_reported_before_the_training(
    knee_folder, tmp_path, start, capsys
):
    for number in range(3):
        (knee_folder / f"train/0/film{number}_R.dcm").write_bytes(bytes(128) + b"DICM")
    (knee_folder / "manifest.csv").write_text("file,subject\nvalidation/0/validation00R.png,P\n")
    assert start() == "trains"
    said = capsys.readouterr().out
    assert "unreadable images skipped: 3 (the first: " in said
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


@trains
def test_the_screen_says_what_runs_and_what_came_out(capsys, knee_folder, tmp_path):
    run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    said = capsys.readouterr().out
    for part in ("antony_clsf_multiloss", "parameters", "train 20 (4 4 4 4 4)", "test 10",
                 "float32", "CPU", str(tmp_path / "run")):  # fmt: skip
        assert part in said.splitlines()[0]
    assert "0.439" in said and "0.466" in said
    assert "synthetic" not in said


@trains
def test_a_model_says_how_its_knees_were_cut_and_its_precision(knee_folder, tmp_path):
    cutting = Cutting("middle", (96, 96), "pad", "none", flip_left=True)
    write_cutting(knee_folder, cutting)
    run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1,
        "--precision", "mixed_bfloat16")
    for name in ("model.h5", "model.keras"):
        said = read_description(tmp_path / "run" / name)
        assert Cutting.recorded(said["cutting"], name) == cutting
        assert said["precision"] == "mixed_bfloat16"
    assert load_model(tmp_path / "run" / "model.h5").get_layer("conv2").compute_dtype == "bfloat16"


@trains
@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(backbone="antony_extended", branches=("att2",), fusion="single"),
        Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="early_fusion"),
    ],
    ids=lambda experiment: experiment.name,
)
def test_single_branch_and_early_fusion_run_too(experiment, knee_folder, tmp_path):
    shutil.rmtree(knee_folder / "test")
    run(experiment, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    results = results_of(tmp_path / "run")
    assert results["split"] == "validation" and "test" not in results
    assert results["chosen"] in ("att2", "kl") and "localisation" not in results


def test_negatives_are_listed_before_the_training(start, tmp_path, capsys):
    for split in ("train", "validation"):
        for number in range(2):
            film = phantom_film((number, number + 2), number, 256)
            for side, knee in split_knees(film.image, "auto").items():
                path = tmp_path / "mixed" / split / str(film.grades[side])
                path.mkdir(parents=True, exist_ok=True)
                negative = number == 1 and side == "L"
                cv2.imwrite(str(path / f"{split}{number}{side}.png"), ~knee if negative else knee)
    assert start(data=tmp_path / "mixed") == "trains"
    assert "photographic negatives inverted: 2, listed in " in capsys.readouterr().out
    turned = pd.read_csv(tmp_path / "run" / "inverted.csv")["file"].tolist()
    assert turned == ["train/3/train1L.png", "validation/3/validation1L.png"]


def test_the_path_of_the_data_is_recorded_without_detours(start, knee_folder, tmp_path):
    assert start(data=knee_folder / ".." / knee_folder.name) == "trains"
    assert read_json(tmp_path / "run" / "experiment.json")["data"] == str(knee_folder)


def test_folders_that_are_no_split_are_named(start, capsys, knee_folder):
    for name in ("auto_test", ".cache"):
        (knee_folder / name).mkdir()
    assert start() == "trains"
    assert "folders that are not read: auto_test\n" in capsys.readouterr().out


def test_a_class_missing_in_training_is_a_warning(start, capsys, knee_folder):
    shutil.rmtree(knee_folder / "train" / "4")
    assert start() == "trains"
    assert "the training split has no knee of grade 4" in capsys.readouterr().out


def test_a_person_in_two_splits_is_a_warning(start, capsys, knee_folder):
    shutil.copy(knee_folder / "train/0/train00R.png", knee_folder / "test/0")
    assert start() == "trains"
    said = "in both the training and the test split, by the manifest or the file names: 1. If"
    assert said in capsys.readouterr().out
