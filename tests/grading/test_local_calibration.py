"""`calibrate`: graded local films change a model's calibration, and nothing else of its file."""

import json
import runpy
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from knee_attention.commands.cli import main
from knee_attention.datasets.persons import person_digests
from knee_attention.errors import ImageError
from knee_attention.evidence.calibration import Calibration, fit_cut_points, shift_cut_points
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.films.image_files import write_image
from knee_attention.grading import local_calibration, other_hospitals
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import Grader, load_grader
from knee_attention.grading.other_hospitals import other_hospital
from knee_attention.networks.files.copies import copy_with_description
from knee_attention.networks.files.model_files import read_description, save_model
from knee_attention.networks.model import build_model

SCRIPT = Path(__file__).parents[2] / "experiments" / "other_hospitals.py"
FILMS = 60
HARSH = [-1.5, -1.0, -1.0, -1.0]
"""Shifts of local readers, who grade higher than the model."""


def seen(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model for films, and grades that harsher readers give them."""
    generator = np.random.default_rng(seed)
    near = np.exp(-np.square(np.subtract.outer(generator.uniform(-0.5, 4.5, count), range(5))))
    values = near / near.sum(axis=1, keepdims=True)
    by_readers = shift_cut_points(values, HARSH, 1)
    return values, np.array([generator.choice(5, p=row) for row in by_readers])


VALUES, GRADES = seen(FILMS)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.h5"
    save_model(build_model("antony_clsf", ("att1",), "single", (96, 96)), path,
               {"name": "small", "chosen": "att1",
                "training_persons": person_digests(["9000099", "9000296"])})  # fmt: skip
    return path


@pytest.fixture
def films(tmp_path, monkeypatch):
    """A folder of films that the model sees as `VALUES`, whatever their pixels."""
    folder = tmp_path / "clinic"
    for number, grade in enumerate(GRADES):
        film = np.eye(20, 30, dtype=np.uint8)
        film[10, 15] = number  # the centre, by which an image without a name is known
        write_image(folder / f"{grade}" / f"person{number}.png", film)

    def grade_all(grader, images, view):
        for path in images:
            if isinstance(path, np.ndarray):
                assert (view, path.shape) == ("crop", (20, 20))
                place = int(path[10, 10])
            else:
                place = int(path.stem.removeprefix("person").split("x")[0])
            value = grader.calibration.probabilities("att1", VALUES[[place]])[0]
            knee = GradedKnee(None, np.zeros((4, 4), np.uint8), {"att1": value}, "att1", {})
            bad = {1: ImageError(path, "too dark"), 2: [knee, knee] if view == "auto" else [knee]}
            yield path, bad.get(place, [knee])

    monkeypatch.setattr(Grader, "grade_all", grade_all)
    return folder


def weights(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, thing: found.update({name: thing[()].tobytes()})
                        if isinstance(thing, h5py.Dataset) else None)  # fmt: skip
        return found, {name: value for name, value in file.attrs.items()
                       if name != "knee_attention"}


def test_the_shifts_of_the_readers_are_found_and_few_films_shift_less():
    many = fit_cut_points(*seen(1500)[::-1])
    assert many["shifts"] == pytest.approx(HARSH, abs=0.2)
    assert many["temperature"] == pytest.approx(1, abs=0.1)
    opposite = np.eye(5)[[0, 0]]
    few = fit_cut_points(np.array([4, 4]), opposite)
    assert -4 < np.mean(few["shifts"]) < 0


def test_shifts_that_cross_leave_probabilities():
    found = shift_cut_points(np.full((1, 5), 0.2), [9, -9, 9, -9], 0.5)
    assert (found > 0).all() and found.sum() == pytest.approx(1)


def test_a_calibrated_model_grades_as_the_local_readers(model, films, tmp_path, capsys):
    new = tmp_path / "new.h5"
    main(["calibrate", str(model), "--data", str(films), "--output", str(new)])
    shown = capsys.readouterr()
    assert "too dark" in shown.err and "shows two knees" in shown.err
    assert "58 of 60 films of" in shown.out and "58 persons" in shown.out
    assert weights(new) == weights(model)
    entry = read_description(new)["local_calibration"]
    assert (entry["data"], entry["knees"], entry["subjects"]) == ("clinic", 58, 58)
    before, after = (entry["cross_validated"][name] for name in ("before", "after"))
    assert f"{before['kappa_quadratic']:.3f}" in shown.out
    assert after["cross_entropy"] < before["cross_entropy"]
    assert 0.8 < after["coverage"] <= 1 and "coverage" not in before
    calibration = load_grader(new, coverage=0.8).calibration
    grades = calibration.probabilities("att1", VALUES).argmax(axis=1)
    assert (grades == GRADES).mean() > (VALUES.argmax(axis=1) == GRADES).mean()
    main(["info", str(new)])
    assert "calibrated on  clinic, 58 knees, " in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_refused_before_grading(
    model, films, tmp_path, refused, monkeypatch
):
    monkeypatch.setattr(local_calibration, "local_predictions", None)
    (tmp_path / "file").touch()
    assert "it is a file, not a folder" in refused(
        "calibrate", model, "--data", films, "--output", tmp_path / "file" / "new.h5")


def test_a_second_calibration_starts_from_the_original_one(model, films, tmp_path):
    first, plain, second = (tmp_path / f"{name}.h5" for name in ("first", "plain", "second"))
    wrong = {"cut_points": {"att1": {"shifts": [2, 2, 2, 2], "temperature": 3}}, "date": "",
             "knees": 25, "data": "other", "prediction_sets": {"thresholds": [0.1] * 99}}
    copy_with_description(model, first, {**read_description(model), "local_calibration": wrong})
    assert load_grader(first).coverage == 0.9
    for source, new in ((model, plain), (first, second)):
        main(["calibrate", str(source), "--data", str(films), "--output", str(new)])
    descriptions = [read_description(path) for path in (plain, second)]
    for described in descriptions:
        described["local_calibration"].pop("date")  # midnight may lie between the two
    assert descriptions[0] == descriptions[1]


@pytest.mark.parametrize(("change", "message"), [
    (lambda film, number: not 3 <= number < 27 and film.unlink(), "24 films are graded; a "
     "calibration needs at least 25"),
    (lambda film, number: film.rename(film.parents[1] / "4" / film.name) if number > 2 else
     film.unlink(), "all films have the grade 4"),
])  # fmt: skip
def test_too_few_films_or_grades_are_refused(model, films, refused, change, message):
    for film in list(films.rglob("*.png")):
        change(film, int(film.stem.removeprefix("person")))
    assert message in refused("calibrate", model, "--data", films)


def test_films_of_two_persons_are_refused(model, films, refused):
    for bad in (1, 2):
        next(films.rglob(f"person{bad}.png")).unlink()
    rows = [f"{film.relative_to(films)},{'AB'[place % 2]}\n"
            for place, film in enumerate(films.rglob("*.png"))]  # fmt: skip
    (films / "manifest.csv").write_text("file,subject\n" + "".join(rows))
    said = refused("calibrate", model, "--data", films)
    assert "the films are of A and B alone" in said and "3 persons at least" in said


def test_films_that_the_model_knows_and_odd_places_are_refused(model, films, refused):
    source = next(films.rglob("*.png"))
    manifest = "file,subject\n" + "".join(
        f"{film.relative_to(films)},{'9000296' if film == source else film.stem}\n"
        for film in films.rglob("*.png")
    )
    (films / "manifest.csv").write_text(manifest)
    assert "the model was trained on person 9000296 (1 of " in refused(
        "calibrate", model, "--data", films)
    assert "no such folder" in refused("calibrate", model, "--data", films / "none")
    (films / "train").mkdir()
    source.rename(films / "train" / source.name)
    assert "give the folder of one split" in refused("calibrate", model, "--data", films)


def test_a_calibration_that_is_not_better_is_not_written(
    model, films, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("knee_attention.evidence.local_fit.fit_cut_points",
                        lambda *_: {"shifts": [3, 3, 3, 3], "temperature": 1})
    new = tmp_path / "new.h5"
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", str(model), "--data", str(films), "--output", str(new)])
    assert "the calibration is not better" in capsys.readouterr().err
    assert ended.value.code == 2 and not new.exists()


def test_every_kind_of_file_keeps_its_weights(model, tmp_path):
    pytest.importorskip("onnx")
    from knee_attention.networks.files.model_files import load_model
    from knee_attention.networks.files.onnx_export import export_onnx

    loaded, description = load_model(model), read_description(model)
    local = {"cut_points": {"att1": {"shifts": HARSH, "temperature": 1}}, "data": "clinic",
             "date": "", "knees": 25,
             "prediction_sets": {"thresholds": [0.5] * 90 + [None] * 9}}  # fmt: skip
    save_model(loaded, tmp_path / "a.keras", {})
    export_onnx(loaded, tmp_path / "a.onnx", description)
    knee = np.random.default_rng(0).uniform(0, 255, (1, 96, 96, 1)).astype(np.float32)
    for suffix in ("keras", "onnx"):
        before, after = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
        copy_with_description(before, after, {**description, "local_calibration": local})
        old, new = load_grader(before), load_grader(after)
        for name, values in old.network(knee).items():
            np.testing.assert_array_equal(new.network(knee)[name], values)
        assert new.description["local_calibration"] == json.loads(json.dumps(local))
        assert isinstance(new.calibration, Calibration) and new.coverage == 0.9


def test_a_hospital_is_measured_in_three_ways_and_with_local_films(model, films):
    grader = load_grader(model)
    listed = local_calibration.graded_films(films)
    rows = {row["films"]: row for row in other_hospital(grader, "Clinic", films, listed)}
    assert list(rows) == ["Clinic, normal path", "Clinic, whole images", "Clinic, centre squares",
                          "half of clinic, no local film",
                          "half of clinic, 25 local films"]  # fmt: skip
    for row, bad in zip(rows.values(), ((1, 2), (1,), (1,)), strict=False):
        kept = [place for place in range(FILMS) if place not in bad]
        kappa = grade_metrics(GRADES[kept], VALUES[kept])["kappa_quadratic"]
        assert row["graded"] == f"{len(kept)} of 60"
        assert row["quadratic kappa"] == f"{kappa:.3f}"
    before, after = (float(row["accuracy"]) for row in list(rows.values())[3:])
    assert after > before + 0.02


def test_a_centre_square_that_fails_is_reported_with_its_file(model, films, capsys):
    listed = local_calibration.graded_films(films)
    local_calibration.local_predictions(
        load_grader(model), films, listed, "squares", "crop", other_hospitals.centre_square
    )
    said = capsys.readouterr().err
    assert f"not graded: {next(films.rglob('person1.png'))}: too dark\n" in said


def test_the_columns_of_hospitals_are_written_as_a_table(model, films, tmp_path, capsys):
    table = tmp_path / "table.csv"
    measure = runpy.run_path(str(SCRIPT))["main"]
    measure(["--data", str(films), "--model", str(model), "--output", str(table)])
    assert pd.read_csv(table)["films"][0] == "another hospital, normal path"
    assert "person1.png: too dark" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        measure(["--data", str(films), "--model", str(model), "--output", "table.png"])
    assert "table.png: the name of a table ends in .csv" in capsys.readouterr().err


def test_the_own_validation_is_one_row_or_none(model):
    grader, known = load_grader(model), {"accuracy": 0.5, "kappa_quadratic": 0.6, "oa_auc": None}
    assert other_hospitals.own_validation(grader) == []
    results = {"split": "validation", "knees": 9, "outputs": {"att1": known}}
    rules = {"validation": {grader.decide: {"accuracy": 0.7}}}
    for experiment, decision, name, accuracy in (
        ({"data": "sets/clinic"}, rules, "clinic", "0.700"), ({"data": None}, None, "own", "0.500"),
        (None, None, "own", "0.500"),
    ):  # fmt: skip
        grader.description |= {"results": results, "decision": decision, "experiment": experiment}
        assert other_hospitals.own_validation(grader) == [
            {"films": f"{name} validation, halves of films", "graded": "9 of 9",
             "accuracy": accuracy, "quadratic kappa": "0.600", "OA AUC": ""}
        ]  # fmt: skip


def test_a_figure_that_is_undefined_is_left_blank(model):
    generator = np.random.default_rng(0)
    values, grades = generator.dirichlet(np.ones(5), FILMS), generator.integers(2, size=FILMS)
    persons = [f"{film}" for film in range(FILMS)]
    known = Predictions(persons, persons, grades, {"att1": values})
    figures = other_hospitals.local_figures(load_grader(model), known)[0]
    assert np.isnan(figures["OA AUC"]) and 0 <= figures["accuracy"] <= 1
    assert other_hospitals.cells(figures)["OA AUC"] == ""


def test_films_of_the_training_s_persons_measure_no_hospital(model, films, capsys):
    source = next(films.rglob("person5.png"))
    source.rename(source.with_name("9000296R.png"))
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPT))["main"](["--data", str(films), "--model", str(model)])
    assert "the model was trained on person 9000296" in capsys.readouterr().err
