"""Files written by commit b0c4dd4 load, grade and resume; its ONNX file must be exported again.

tests/samples/make_samples.py, which git keeps in its history, wrote them. Users have runs, models,
training sets and journals on disk, and later versions must still read them.
"""

import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from stand_ins import load_script

from knee_attention import load_grader
from knee_attention.commands.cli import main
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.published_runs import read_runs
from knee_attention.runs.run import run

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "samples" / "b0c4dd4.tar.xz"
KNEES_AS_BEFORE = ("--size", "48", "32", "--fit", "pad")
pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


@pytest.fixture
def samples(tmp_path):
    """The unpacked samples, with their paths adapted to this folder."""
    with tarfile.open(SAMPLES) as archive:
        archive.extractall(tmp_path, filter="data")
    for path in tmp_path.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".csv"):
            path.write_text(path.read_text().replace("ROOT", str(tmp_path)))
    return tmp_path


@pytest.fixture
def expected(samples):
    """The values and grades of the earlier code."""
    return json.loads((samples / "expected.json").read_text())


def command(script: str, *arguments) -> None:
    """Run a command of data_prep in this process."""
    module = load_script(ROOT / "data_prep" / f"{script}.py")
    module.main([*map(str, arguments), "--workers", "1"])


def states(folder: Path) -> dict[Path, tuple[int, int]]:
    """The images below a folder, each with values that change if it is written again."""
    status = {path: path.stat() for path in folder.rglob("*.png")}
    return {path: (known.st_ino, known.st_mtime_ns) for path, known in status.items()}


def test_the_samples_are_small():
    assert SAMPLES.stat().st_size < 300_000


@pytest.mark.parametrize("model", ["finished", "finished/model.keras"])
def test_a_model_grades_a_film_as_it_did(samples, expected, model):
    before = expected["graded"].get(model) or expected["graded"]["finished/model.h5"]
    knees = load_grader(samples / model).grade(samples / "films" / "000.png")
    assert {knee.side for knee in knees} == set(before)
    for knee in knees:
        np.testing.assert_allclose(knee.probabilities, before[knee.side], atol=1e-4)


def test_an_onnx_file_with_automatic_padding_is_to_be_exported_again(samples):
    """OpenCV 5.0 pads SAME_UPPER wrongly where the padding is odd, as Antony's network has it."""
    with pytest.raises(InputError, match="model.onnx: its graph has automatic padding.*export the"):
        load_grader(samples / "model.onnx")


@pytest.mark.parametrize("name", ["dataset", "dataset.h5"])
def test_a_training_set_holds_the_same_pixels(samples, expected, name):
    splits = load_dataset(samples / name, (48, 32)).splits
    assert {
        split: {
            "files": knees.files,
            "grades": knees.grades.tolist(),
            "subjects": knees.subjects,
            "pixels": [hashlib.sha256(image.tobytes()).hexdigest() for image in knees.images],
        }
        for split, knees in splits.items()
    } == expected["sets"][name]


def test_a_finished_run_is_measured_reported_and_published(samples, capsys):
    finished, results = samples / "finished", samples / "again"
    main(["evaluate", str(finished), "--data", str(samples / "dataset"), "--output", str(results)])
    main(["report", str(finished), "--output", str(samples / "report.html")])
    assert "antony_clsf_att0" in (samples / "report.html").read_text()
    main(["publish", str(finished), "--to", str(samples / "published")])
    metrics = json.loads((finished / "results.json").read_text())["test"]["att0"]
    kept = read_runs(samples / "published")["finished"].outputs["att0"]
    assert kept and kept.items() <= metrics.items()
    assert "6 test knees of 3 persons" in capsys.readouterr().out


@pytest.mark.parametrize(("folder", "epochs"), [("killed", 2), ("finished", 1)])
def test_a_run_goes_on_with_the_same_experiment(samples, capsys, folder, epochs):
    experiment = Experiment(
        backbone="antony_clsf", image_size=(96, 96), epochs=epochs, batch_size=4,
        learning_rate=0.001, precision="float32", data=str(samples / "dataset"),
    )  # fmt: skip
    first = (samples / folder / "history.csv").read_text()
    results = run(experiment, samples / folder)
    said = capsys.readouterr().out
    assert "resuming after epoch 1" in said if epochs == 2 else "already finished" in said
    assert results["epochs"] == epochs
    assert (samples / folder / "history.csv").read_text().startswith(first.rstrip("\r\n"))
    assert (samples / folder / "checkpoint.h5").exists() == (folder == "killed")  # for more epochs
    load_grader(samples / folder)


def test_split_knees_finds_its_work_done_and_refuses_other_options(samples, capsys, refused):
    films, knees = samples / "films", samples / "knees"
    before = states(knees)
    command("split_knees", films, knees, *KNEES_AS_BEFORE)
    assert states(knees) == before
    assert "8 of them by an earlier run" in capsys.readouterr().out
    said = refused(command, "split_knees", films, knees, "--size", "48", "32")
    assert "was made with other options (fit" in said
    assert states(knees) == before


def test_split_knees_goes_on_in_the_middle_of_a_line(samples):
    """The journal's last line is incomplete, as after a power failure."""
    films, knees = samples / "films", samples / "knees"
    journal, before = knees / ".journal.jsonl", states(knees)
    text = journal.read_text()
    cut = len(text) - 40
    lost = json.loads(text.splitlines()[-1])["source"]
    journal.write_text(text[:cut])
    command("split_knees", films, knees, *KNEES_AS_BEFORE)
    again = {path.name[:3] for path, state in states(knees).items() if state != before[path]}
    assert again == {Path(lost).stem}


def test_make_dataset_finds_its_work_done(samples, capsys, refused):
    before = states(samples / "dataset")
    command("make_dataset", samples / "knees", samples / "labels.csv", samples / "dataset",
            "--h5", samples / "dataset.h5", "--validation", "0.3")  # fmt: skip
    said = capsys.readouterr().out
    assert "0 knees added, 16 existed already" in said and "dataset.h5: existed already" in said
    after = states(samples / "dataset")
    assert {path: after[path] for path in before} == before
    refused(command, "make_dataset", samples / "knees", samples / "labels.csv",
            samples / "dataset", "--validation", "0.3", "--seed", "1")  # fmt: skip
    command("make_dataset", "--verify", samples / "dataset")
    assert "no faults" in capsys.readouterr().out
