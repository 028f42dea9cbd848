"""How an experiment reads its data, and what it prints about them."""

import shutil

import cv2
import pandas as pd
import pytest
from small_experiment import SMALL, results_of, run

from knee_attention.files import read_json
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.films.legs import split_knees
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Runs an experiment on a data folder until the training would start."""

    def interrupt(*_):
        raise KeyboardInterrupt

    def start(data):
        with pytest.raises(SystemExit) as ended:
            run(SMALL, "--data", data, "--output", tmp_path / "run", "--epochs", 1)
        assert ended.value.code == 130

    monkeypatch.setattr("knee_attention.runs.run.train", interrupt)
    return start


def test_the_screen_says_what_runs_and_what_came_out(capsys, knee_folder, tmp_path):
    run(SMALL, "--data", knee_folder, "--output", tmp_path / "run", "--epochs", 1)
    said = capsys.readouterr().out
    for part in ("antony_clsf_multiloss", "parameters", "train 20 (4 4 4 4 4)", "test 10",
                 "float32", "CPU", str(tmp_path / "run")):  # fmt: skip
        assert part in said.splitlines()[0]
    assert "0.439" in said and "0.466" in said
    assert "synthetic" not in said


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


def test_negatives_are_listed_before_the_training(start, tmp_path):
    for split in ("train", "validation"):
        for number in range(2):
            film = phantom_film((number, number + 2), number, 256)
            for side, knee in split_knees(film.image, "auto").items():
                path = tmp_path / "mixed" / split / str(film.grades[side])
                path.mkdir(parents=True, exist_ok=True)
                negative = number == 1 and side == "L"
                cv2.imwrite(str(path / f"{split}{number}{side}.png"), ~knee if negative else knee)
    start(tmp_path / "mixed")
    turned = pd.read_csv(tmp_path / "run" / "turned.csv")["file"].tolist()
    assert turned == ["train/3/train1L.png", "validation/3/validation1L.png"]


def test_unreadable_images_are_listed_before_the_training(start, capsys, knee_folder, tmp_path):
    (knee_folder / "train" / "1" / "broken.png").write_bytes(b"")
    start(knee_folder)
    assert "skipped 1 unreadable image" in capsys.readouterr().out
    listed = pd.read_csv(tmp_path / "run" / "unreadable.csv")
    assert listed["reason"].tolist() == ["the file is empty"]


def test_the_path_of_the_data_is_recorded_without_detours(start, knee_folder, tmp_path):
    start(knee_folder / ".." / knee_folder.name)
    assert read_json(tmp_path / "run" / "experiment.json")["data"] == str(knee_folder)


def test_folders_that_are_no_split_are_named(start, capsys, knee_folder):
    for name in ("auto_test", ".cache"):
        (knee_folder / name).mkdir()
    start(knee_folder)
    assert "folders that are not read: auto_test\n" in capsys.readouterr().out


def test_a_class_missing_in_training_is_a_warning(start, capsys, knee_folder):
    shutil.rmtree(knee_folder / "train" / "4")
    start(knee_folder)
    assert "the training split has no knee of grade 4" in capsys.readouterr().out
