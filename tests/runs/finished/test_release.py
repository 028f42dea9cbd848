"""From a run to a model of the package: float16, calibrated, with a name and a card."""

import numpy as np
import pytest
from stand_ins import blob_knee, write_knees

from knee_attention.commands.cli import main
from knee_attention.commands.scripts.pretrained import main as make_pretrained
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.persons import places_of_known
from knee_attention.evidence.probabilities import tempered
from knee_attention.grading.grader import load_grader
from knee_attention.networks.files import location
from knee_attention.networks.files.model_files import read_description
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run import run
from knee_attention.runs.run_folder import RunFolder

pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


def knee(grade: int, seed: int) -> np.ndarray:
    return blob_knee(grade, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run, and the folder of the model `small` made of it."""
    place, folder = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("pretrained")
    experiment = Experiment(
        "antony_clsf", ("att1", "att2"), "multi_loss", (1.0, 0.8),
        data=str(write_knees(tmp_path_factory.mktemp("data") / "knees")),
        image_size=(96, 96), epochs=1, batch_size=10, precision="float32",
    )  # fmt: skip
    run(experiment, place)
    make_pretrained([str(place), "--name", "small", "--output", str(folder),
                     "--crop", "half", "--about", "Drawn bars, CC0"])  # fmt: skip
    return place, folder


@pytest.fixture
def shipped_small(small, monkeypatch):
    """The same run and folder; `small` is one of the models that ship."""
    monkeypatch.setattr(location, "FOLDER", small[1])
    return small


def test_it_grades_by_its_name_with_calibrated_probabilities(shipped_small, tmp_path, monkeypatch):
    place, folder = shipped_small
    before, after = (load_grader(path).grade(knee(3, 5), "single")[0]
                     for path in (place, "small"))  # fmt: skip
    for file in ("small.h5", "small.onnx"):
        assert (folder / file).stat().st_size < 0.62 * (place / "model.h5").stat().st_size
    network = load_grader("small").network
    assert network.path == folder / "small.onnx"
    assert network.description == read_description("small")
    assert load_grader("small.h5").network.path == folder / "small.h5"
    said = read_description("small")
    assert said["name"] == "small" and said["preparation"]["crop"] == "half"
    assert not any("/" in said["experiment"][name] for name in ("data", "weights"))
    for output, values in before.branches.items():
        expected = tempered(values[np.newaxis], said["temperatures"][output])[0]
        np.testing.assert_allclose(after.branches[output], expected, atol=5e-3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").write_bytes(b"no model")  # a file of that name takes precedence
    with pytest.raises(Exception, match="not a readable model file"):
        load_grader("small")


def test_a_knee_unlike_the_training_knees_is_said_to_be(shipped_small, tmp_path, capsys):
    import cv2

    grader = load_grader("small")
    alike, = grader.grade(knee(2, 7), "single")
    shifted = np.roll(knee(2, 7), 56, axis=0)  # the bar is at the border
    unlike, = grader.grade(shifted, "single")
    assert not alike.unlike and unlike.unlike and unlike.likeness < alike.likeness
    cv2.imwrite(str(tmp_path / "shifted.png"), shifted)
    main(["grade", str(tmp_path / "shifted.png"), "--model", "small", "--view", "single"])
    assert "is unlike the training knees" in capsys.readouterr().err


def test_the_card_says_what_was_measured(shipped_small):
    _, folder = shipped_small
    card = (folder / "small.md").read_text()
    assert card.startswith("# small\n") and "Research use only" in card
    assert "Drawn bars, CC0. Trained on its training split" in card
    assert "grades 0 to 4 from half a film of both knees, 96x96" in card and "localiser" not in card
    assert "changes the grade of 0 of them" in card
    assert "10 knees of 5 persons" in card and card.count("divided by the temperature") == 2
    said = read_description(folder / "small.h5")
    sets, decision = said["prediction_sets"], said["decision"]
    assert f"hold it for {sets['validation']['coverage']:.1%}" in card
    assert f"balanced {decision['validation']['balanced']['accuracy']:.3f} / " in card


def test_the_model_knows_the_persons_of_its_training(shipped_small):
    place, folder = shipped_small
    known = load_dataset(RunFolder(place).read_experiment()["data"], (96, 96)).splits
    said = read_description(folder / "small.h5")
    assert said["decision"]["grade_counts"] == known["train"].grade_counts()
    persons = [known["validation"].subjects[0], known["train"].subjects[0]]
    assert places_of_known(said["training_persons"], persons) == [1]


def test_a_model_appears_with_its_card_or_not_at_all(shipped_small, monkeypatch):
    place, folder = shipped_small
    there = sorted(folder.iterdir())

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("knee_attention.runs.finished.release.model_card", killed)
    with pytest.raises(SystemExit):
        make_pretrained([str(place), "--name", "other", "--output", str(folder), "--about", "Bars"])
    assert sorted(folder.iterdir()) == there


def test_a_run_of_phantoms_does_not_ship(tmp_path, capsys):
    place = RunFolder(tmp_path / "run")
    place.begin(Experiment(), [])
    place.finish({}, {})
    with pytest.raises(SystemExit) as ended:
        make_pretrained([str(place.folder), "--about", "", "--output", str(tmp_path)])
    assert ended.value.code == 2 and "synthetic phantoms" in capsys.readouterr().err


def test_a_run_of_a_part_of_its_knees_does_not_ship(tmp_path, capsys):
    place = RunFolder(tmp_path / "run")
    place.begin(Experiment(data=str(tmp_path), limit=10), [])
    place.finish({}, {})
    with pytest.raises(SystemExit) as ended:
        make_pretrained([str(place.folder), "--about", "", "--output", str(tmp_path)])
    assert ended.value.code == 2 and "a run with --limit" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "said"), [("", "--name: expected a name, not an empty text"),
                                            ("a/b", "expected a name without a folder")])
def test_a_model_has_a_name(tmp_path, capsys, name, said):
    with pytest.raises(SystemExit) as ended:
        make_pretrained([str(tmp_path), "--about", "", "--name", name])
    assert ended.value.code == 2 and said in capsys.readouterr().err
