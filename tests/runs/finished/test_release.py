"""From a run to a model of the package: float16, calibrated, with a name and a card."""

import shutil
from functools import partial

import numpy as np
import pytest
from stand_ins import blob_knee, write_knees

from knee_attention.commands.cli import main
from knee_attention.commands.scripts.pretrained import main as make_pretrained
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.persons import known_positions, number_of_persons
from knee_attention.evidence.model_card import origin_of_weights, with_answers
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import tempered
from knee_attention.grading.grader import load_grader
from knee_attention.networks.files import location
from knee_attention.networks.files.model_files import read_description
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.card_answers import _result_fields
from knee_attention.runs.finished.publishing import publish
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
    data = write_knees(tmp_path_factory.mktemp("data") / "knees")
    shutil.rmtree(data / "test")  # so that the run reports validation
    experiment = Experiment(
        "antony_clsf", ("att1", "att2"), "multi_loss", (1.0, 0.8), data=str(data),
        image_size=(96, 96), epochs=1, batch_size=10, precision="float32", flips=True,
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


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, refused):
    (tmp_path / "file").touch()
    said = refused(make_pretrained, ["none", "--about", "", "--output", str(tmp_path / "file")])
    assert "it is a file, not a folder" in said


def test_a_knee_unlike_the_training_knees_is_reported(shipped_small, tmp_path, capsys):
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
    assert "Drawn bars, CC0. Trained on the training split" in card
    assert "grades 0 to 4 from half a film of both knees, 96x96" in card and "localiser" not in card
    assert "changes the grade of 0 of them" in card
    assert "10 knees of 5 persons" in card and card.count("divided by the temperature") == 2
    said = read_description(folder / "small.h5")
    sets, decision = said["prediction_sets"], said["decision"]
    assert f"hold the true grade of {sets['validation']['coverage']:.1%} of the knees" in card
    assert f"balanced {decision['validation']['balanced']['accuracy']:.3f} / " in card


@pytest.mark.parametrize(("weights", "said"), [
    ("scratch", "initial weights scratch"), ("runs/first/model.h5", "initial weights of first"),
    ("data/vgg16.h5", "initial weights of vgg16.h5"),
])  # fmt: skip
def test_initial_weights_are_named_by_their_run_or_their_file(weights, said):
    assert origin_of_weights(weights) == said


def test_the_model_knows_the_persons_of_its_training(shipped_small):
    place, folder = shipped_small
    known = load_dataset(RunFolder(place).read_experiment()["data"], (96, 96)).splits
    said = read_description(folder / "small.h5")
    assert said["decision"]["grade_counts"] == known["train"].grade_counts()
    persons = [known["validation"].subjects[0], known["train"].subjects[0]]
    assert known_positions(said["training_persons"], persons) == [1]
    assert number_of_persons(said["training_persons"]) == len(set(known["train"].subjects))


def test_a_model_appears_with_its_card_or_not_at_all(shipped_small, monkeypatch):
    place, folder = shipped_small
    there = sorted(folder.iterdir())

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("knee_attention.runs.finished.release.model_card", killed)
    with pytest.raises(SystemExit):
        make_pretrained([str(place), "--name", "other", "--output", str(folder), "--about", "Bars"])
    assert sorted(folder.iterdir()) == there


def test_a_run_of_phantoms_does_not_ship(tmp_path, refused):
    place = RunFolder(tmp_path / "run")
    place.begin(Experiment(), [])
    place.finish({}, {})
    options = ["--about", "", "--output", str(tmp_path)]
    assert "synthetic phantoms" in refused(make_pretrained, [str(place.folder), *options])


def test_a_run_of_a_part_of_its_knees_does_not_ship(tmp_path, refused):
    place = RunFolder(tmp_path / "run")
    place.begin(Experiment(data=str(tmp_path), limit=10), [])
    place.finish({}, {})
    options = ["--about", "", "--output", str(tmp_path)]
    assert "a run with --limit" in refused(make_pretrained, [str(place.folder), *options])


@pytest.mark.parametrize(("name", "said"), [("", "--name: expected a name, not an empty text"),
                                            ("a/b", "expected a name without a folder")])
def test_a_model_has_a_name(tmp_path, capsys, name, said):
    with pytest.raises(SystemExit) as ended:
        make_pretrained([str(tmp_path), "--about", "", "--name", name])
    assert ended.value.code == 2 and said in capsys.readouterr().err


def answer(place, folder, *options, template="## Answers\n\n{splits}\n\n{subgroups}\n"):
    """Answer the checklists of `small` from its published run; returns the card."""
    answers = folder.parent / "answers.md"
    answers.write_text(template)
    published = folder.parent / "published"
    if not published.exists():
        publish(place, published)
    make_pretrained([place.name, "--name", "small", "--output", str(folder), "--from",
                     str(published), *options], answers)  # fmt: skip
    return (folder / "small.md").read_text()


def test_the_checklists_are_answered_from_the_published_run(small, tmp_path, refused):
    place, made = small
    folder = tmp_path / "pretrained"
    shutil.copytree(made, folder)
    data = RunFolder(place).read_experiment()["data"]
    card = answer(place, folder, "--data", data)
    knees = load_dataset(data, (96, 96)).splits
    counts = " | ".join(map(str, knees["train"].grade_counts()))
    assert f"| training | {len(knees['train'])} | " in card and f" | {counts} |" in card
    assert "[Answers](#answers)" in card and card.startswith((made / "small.md").read_text()[:200])
    assert "| focus, sharpest third | " in card and "| true grade 4 | 2 | " in card
    assert answer(place, folder) == card  # again, with the focus of before
    (tmp_path / "published" / "focus.csv").write_text("file,focus\nother.png,1\n")
    for options, template, said in (
        ([], "## Answers\n", "not the focus of these knees"),
        (["--data", data], "## Answers\n{sums}\n", "unknown field 'sums'"),
    ):
        assert said in refused(partial(answer, template=template), place, folder, *options)
    (tmp_path / "published" / "focus.csv").unlink()
    assert "no published run other" in refused(answer, place.with_name("other"), folder)
    (folder / "small.onnx").unlink()
    assert "small.onnx: no such file" in refused(answer, place, folder)


def test_the_data_of_a_run_are_not_given_again(tmp_path, refused):
    here = str(tmp_path)
    said = refused(make_pretrained, [here, "--about", "Bars", "--data", here])
    assert "--data needs --from" in said
    said = refused(make_pretrained, [here, "--from", here, "--crop", "square"])
    assert "--crop needs --about" in said


def test_subgroups_and_mistakes_are_counted():
    """Left knees are graded right, right knees one too high; person 2's images are negatives."""
    files = ["validation/0/1L.png", "validation/0/1R.png", "validation/2/2L.png",
             "validation/2/2R.png"]  # fmt: skip
    chances = np.eye(5)[[0, 1, 2, 3]]
    known = Predictions(files, ["1", "1", "2", "2"], np.array([0, 0, 2, 2]), {"chosen": chances})
    found = _result_fields(known, set(files[2:]), np.array([1.0, 2.0, 3.0, 4.0]))
    rows = {line.split(" | ")[0]: line for line in found["subgroups"].splitlines()}
    assert rows["| left knees"].startswith("| left knees | 2 | 2 | 1.000 [1.000, 1.000] |")
    assert rows["| right knees"].startswith("| right knees | 2 | 2 | 0.000 ")
    assert rows["| negatives, inverted"] == "| negatives, inverted | 2 | 1 | 0.500 |  | 0.500 |"
    assert " third | 2 | 1 | 0.500 |" in rows["| focus, least sharp third"]
    assert "| true 2 | 0 | 0 | 1 | 1 | 0 |" in found["confusion"]
    assert found["mistakes"] == "2 of 4 grades are wrong, by so many grades: 2 by 1."


def test_answers_replace_earlier_ones_and_stand_in_the_contents():
    card = "# small\n\nIntroduction.\n\n## Use: 1 knee\n\nText.\n"
    once = with_answers(card, "## Answers\n\nOld.\n")
    assert with_answers(once, "## Answers\n\nOld.\n") == once
    assert with_answers(once, "## Answers\n\nNew.\n") == once.replace("Old.", "New.")
    assert once == ("# small\n\nIntroduction.\n\nContents: [Use: 1 knee](#use-1-knee) · "
                    "[Answers](#answers)\n\n## Use: 1 knee\n\nText.\n\n## Answers\n\nOld.\n")
