"""`knee-attention evaluate`, and each command on a model of displaced joints."""

import json
import shutil
from dataclasses import replace

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from small_trainings import ONE
from small_trainings import results_of as results

from knee_attention.commands.cli import main
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.fingerprint import dataset_records, write_records
from knee_attention.datasets.persons import person_digests
from knee_attention.evidence.predictions import read_predictions
from knee_attention.evidence.probabilities import ensemble
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.published_runs import read_runs
from knee_attention.runs.measure import measure
from knee_attention.runs.run import run
from knee_attention.runs.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


@pytest.fixture
def runs(phantom_runs):
    """Runs on phantoms: two branches, one branch on the same knees, one branch on others."""
    return phantom_runs


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


@pytest.mark.parametrize("file", ["", "model.h5", "model.keras"])
def test_a_saved_model_gives_its_run_s_own_numbers(runs, tmp_path, capsys, file):
    evaluate(runs / "two" / file, "--output", tmp_path)
    then, now = results(runs / "two"), results(tmp_path)
    for name in ("name", "synthetic", "split", "knees", "subjects", "parameters", "chosen",
                 "test", "localisation"):  # fmt: skip
        assert now[name] == then[name], name
    by_grade = now["rules"]["probable"]
    assert by_grade["accuracy"] == then["test"][then["chosen"]]["accuracy"]
    assert by_grade["oa_auc"] is by_grade["intervals"]["cross_entropy"] is None
    assert (tmp_path / "predictions.csv").read_bytes() == (
        runs / "two" / "predictions.csv"
    ).read_bytes()
    shown = capsys.readouterr().out
    assert "10 test knees of 5 persons (synthetic phantoms)" in shown
    for branch, scores in now["localisation_averaged"].items():
        [line] = [line for line in shown.splitlines() if f"{branch}, mean of its masks" in line]
        assert f"{scores['inside_over_outside']:.2f} (uniform" in line
    low, high = then["test"]["att1"]["intervals"]["accuracy"]
    assert f"{then['test']['att1']['accuracy']:.3f} [{low:.3f}, {high:.3f}]" in shown


def test_results_that_cannot_be_written_are_shown(runs, tmp_path, capsys, full_disk):
    with full_disk(), pytest.raises(SystemExit):
        evaluate(runs / "two", "--output", tmp_path)
    shown = capsys.readouterr()
    assert "10 test knees of 5 persons" in shown.out and "cannot be written" in shown.err


def test_on_a_data_folder_it_gives_the_run_s_own_numbers(knee_folder, tmp_path, capsys):
    folder = tmp_path / "run"
    run(replace(ONE, data=str(knee_folder)), folder)
    shutil.rmtree(knee_folder / "train")  # not needed
    evaluate(folder / "model.h5", "--data", knee_folder, "--output", tmp_path / "again")
    assert results(tmp_path / "again")["test"] == results(folder)["test"]
    assert results(tmp_path / "again")["synthetic"] is False
    assert "localisation" not in results(tmp_path / "again")
    evaluate(folder, "--data", knee_folder, "--split", "validation", "--output", tmp_path / "val")
    assert results(tmp_path / "val")["validation"] == results(folder)["validation"]
    assert "synthetic" not in capsys.readouterr().out.split("again")[-1]


def test_several_models_are_joined_before_the_softmax_and_compared(runs, tmp_path, capsys):
    evaluate(runs / "two", "--with", runs / "att1", runs / "other" / "model.h5",
             "--output", tmp_path)  # fmt: skip
    compared = results(tmp_path)["comparison"]
    two, one = (read_predictions(runs / name / "predictions.csv") for name in ("two", "att1"))
    pairs = compared["differences"]
    assert len(pairs) == 3 and all(pair["knees"] == 10 for pair in pairs)
    chosen = {"two": results(runs / "two")["chosen"], "att1": "att1"}
    own = [results(runs / name)["test"][output]["accuracy"] for name, output in chosen.items()]
    assert pairs[0]["metrics"]["accuracy"]["difference"] == pytest.approx(own[0] - own[1])

    evaluate(runs / "two", "--with", runs / "att1", "--output", tmp_path / "pair")
    together = ensemble([two.of("ensemble"), one.of("att1")])
    right = (together.argmax(axis=1) == two.grades).mean()
    assert results(tmp_path / "pair")["comparison"]["ensemble"]["accuracy"] == right
    shown = capsys.readouterr().out
    assert "all together" in shown and "other/model.h5" in shown


def test_every_run_is_measured_on_the_knees_that_are_given(knee_folder, tmp_path):
    """Knees with the same names and grades may have other pixels."""
    for name, branches in (("one", ("att1",)), ("other", ("att2",))):
        run(replace(ONE, branches=branches, data=str(knee_folder)), tmp_path / name)
    for path in knee_folder.rglob("test/*/*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[::-1, ::-1] // 2)
    evaluate(tmp_path / "one", "--data", knee_folder, "--with", tmp_path / "other",
             "--output", tmp_path / "beside")  # fmt: skip
    evaluate(tmp_path / "other", "--data", knee_folder, "--output", tmp_path / "alone")
    alone = results(tmp_path / "alone")["test"]
    assert results(tmp_path / "beside")["others"][0]["test"] == alone
    assert alone != results(tmp_path / "other")["test"]


def test_a_model_beside_itself_differs_by_nothing(runs, tmp_path):
    evaluate(runs / "att1", "--with", runs / "att1" / "model.keras", "--output", tmp_path)
    compared = results(tmp_path)["comparison"]
    for pair in compared["differences"]:
        assert pair["metrics"]["accuracy"] == {"difference": 0, "interval": [0, 0]}


def test_a_copied_run_counts_once_and_is_named(runs, tmp_path, capsys):
    shutil.copytree(runs / "two", tmp_path / "two-seed1")
    others = ["--with", tmp_path / "two-seed1", runs / "att1"]
    evaluate(runs / "two", *others, "--output", tmp_path / "three")
    evaluate(runs / "two", "--with", runs / "att1", "--output", tmp_path / "pair")
    three, pair = (results(tmp_path / name)["comparison"] for name in ("three", "pair"))
    assert three["copies"] == {str(tmp_path / "two-seed1"): str(runs / "two")}
    assert pair["copies"] == {} and three["ensemble"] == pair["ensemble"]
    copy = f"{tmp_path / 'two-seed1'} has the same predictions as {runs / 'two'}"
    assert copy in capsys.readouterr().out


def test_where_nobody_says_which_branch_is_better_the_ensemble_stands(runs, tmp_path, knee_folder):
    loaded = keras.saving.load_model(runs / "two" / "model.h5", compile=False)
    loaded.save(tmp_path / "plain.h5")
    evaluate(tmp_path / "plain.h5", "--data", knee_folder, "--output", tmp_path / "out")
    assert results(tmp_path / "out")["chosen"] == "ensemble"
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    knees = load_dataset(knee_folder, (96, 96)).splits["test"]
    found = measure(load_model(tmp_path / "plain.h5"), knees).predictions
    np.testing.assert_array_equal(table["prediction"], found.of("ensemble").argmax(axis=1))


def test_a_single_class_leaves_the_auc_undefined_and_is_reported(
    runs, knee_folder, tmp_path, capsys
):
    for grade in (2, 3, 4):
        shutil.rmtree(knee_folder / "test" / str(grade))
    evaluate(runs / "att1", "--data", knee_folder, "--output", tmp_path / "out")
    assert results(tmp_path / "out")["test"]["att1"]["oa_auc"] is None
    assert "no AUC of osteoarthritis" in capsys.readouterr().out


def test_an_unfinished_run_gets_one_sentence(runs, tmp_path, refused):
    shutil.copytree(runs / "att1", tmp_path / "killed")
    (tmp_path / "killed" / "results.json").unlink()
    assert "killed: the run is not finished" in refused("evaluate", tmp_path / "killed")
    assert "not finished" in refused("evaluate", runs / "two", "--with", tmp_path / "killed")


def test_what_cannot_be_measured_gets_one_sentence(runs, knee_folder, tmp_path, refused):
    shutil.rmtree(knee_folder / "test")
    plain = tmp_path / "plain.keras"
    keras.saving.load_model(runs / "att1" / "model.h5", compile=False).save(plain)
    without_test = refused("evaluate", runs / "att1", "--data", knee_folder)
    assert "no folder named 'test', only train, validation;" in without_test
    assert "--data" in refused("evaluate", plain)
    assert "no such folder" in refused("evaluate", runs / "att1", "--data", tmp_path / "nothing")
    assert "nothing.h5" in refused("evaluate", tmp_path / "nothing.h5")
    assert "a folder without a run" in refused("evaluate", tmp_path)
    assert "the folder of a run" in refused("evaluate", runs / "att1", "--output", runs / "two")


@pytest.mark.parametrize(("network", "attention"), [
    (("antony_clsf", ("att1",), "single"), "none"), (("antony_clsf_baseline", (), "dense"), "local")
])  # fmt: skip
def test_masks_of_experts_are_refused_for_a_network_without_a_mask(
    knee_folder, tmp_path, refused, network, attention
):
    model = build_model(*network, (96, 96), attention=attention)
    save_model(model, tmp_path / "model.h5", {})
    said = refused("evaluate", tmp_path / "model.h5", "--data", knee_folder, "--masks", tmp_path)
    assert "model.h5: a network without attention; leave out --masks" in said


def test_with_flips_a_knee_and_its_mirror_image_count_alike(runs, tmp_path, capsys):
    evaluate(runs / "two", "--flips", "--output", tmp_path / "both")
    evaluate(runs / "two", "--output", tmp_path / "plain")
    shown = capsys.readouterr().out
    assert shown.count("averaged over each knee and its mirror image: antony_clsf_multiloss") == 1
    both, plain = (
        read_predictions(tmp_path / name / "predictions.csv") for name in ("both", "plain")
    )
    model = load_model(runs / "two" / "model.h5")
    knees = phantom_dataset((96, 96), 10, 0, ("test",)).splits["test"]
    mirror = model.predict(knees.images[:, :, ::-1, np.newaxis], verbose=0)
    for output in ("att1", "att2"):
        expected = ensemble([plain.of(output), mirror[output].astype(float)])
        np.testing.assert_allclose(both.of(output), expected, atol=1e-5)
    assert results(tmp_path / "both")["flips"] and "flips" not in results(tmp_path / "plain")


def test_it_draws_where_each_model_looks_and_where_it_is_wrong(runs, tmp_path):
    evaluate(runs / "two", "--with", runs / "att1", "--pictures", tmp_path / "pictures")
    drawn = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"antony_clsf_multiloss-masks.png", "antony_clsf_att1-masks.png"} <= drawn
    evaluate(runs / "att1", "--with", runs / "other", "--pictures", tmp_path / "namesakes")
    assert len(list((tmp_path / "namesakes").glob("*-masks.png"))) == 2
    wrong = {name for name in drawn if name.endswith("-mistakes.png")}
    assert len(wrong) == 2  # no network grades all ten knees correctly after one epoch
    assert all(cv2.imread(str(tmp_path / "pictures" / name)).size for name in drawn)


def test_the_model_that_ships_is_known_by_its_name(knee_folder, capsys, refused):
    main(["info", "kneekl-vgg16-multiloss"])
    assert "vgg16" in capsys.readouterr().out
    said = refused("evaluate", "kneekl-vgg16-multilos", "--data", knee_folder)
    assert "no such model file or run" in said


def test_a_run_that_is_measured_on_other_data_says_so_and_goes_on(
    runs, knee_folder, tmp_path, capsys
):
    run = shutil.copytree(runs / "att1", tmp_path / "run")
    write_records(RunFolder(run).data_file, dataset_records(knee_folder))
    (knee_folder / "test/0/test00R.png").rename(knee_folder / "test/4/test00R.png")
    for model in (run, run / "model.h5"):
        evaluate(model, "--data", knee_folder)
        assert (f"remark: {knee_folder} differs from the test split of {run}: 1 of "
                "10 images with another label (the first test00R.png)") in capsys.readouterr().out


def test_persons_of_the_training_are_remarked(runs, knee_folder, tmp_path, capsys):
    source, path = runs / "att1" / "model.h5", tmp_path / "model.h5"
    known = {"training_persons": person_digests(["test00", "train00"])}
    save_model(load_model(source), path, {**read_description(source), **known})
    for command in ("evaluate", "audit", "robustness"):
        main([command, str(path), "--data", str(knee_folder), "--split", "test"])
        said = f"remark: {path} was trained on the persons of 2 of these 10 knees"
        assert said in capsys.readouterr().out


@pytest.fixture
def trained(knee_folder, tmp_path):
    """A run on displaced joints."""
    experiment = Experiment("antony_clsf", ("att1",), "single", data=str(knee_folder), limit=10,
                            image_size=(96, 96), epochs=1, batch_size=10, precision="float32",
                            crop="square", displace=True)  # fmt: skip
    run(experiment, tmp_path / "displaced")
    return tmp_path / "displaced"


def test_every_command_knows_the_joints_of_a_run_on_displaced_joints(
    trained, knee_folder, tmp_path, capsys
):
    results = json.loads((trained / "results.json").read_text())
    assert 0 < results["localisation"]["att1"]["pointing_game_uniform"] < 0.1

    options = ["--data", str(knee_folder), "--split", "validation", "--limit", "10"]
    main(["evaluate", str(trained), *options])
    assert "on / off the joint" in capsys.readouterr().out
    main(["audit", str(trained), *options])
    assert "Where it looks (10 knees)" in capsys.readouterr().out
    main(["publish", str(trained), "--to", str(tmp_path / "set")])
    [published] = read_runs(tmp_path / "set").values()
    audit = json.loads((trained / "audit.json").read_text())["branches"]["att1"]
    masks = published.audit["att1"]
    assert masks["own mask"]["highest"] == audit["where"]["own mask"]["highest"]
    assert masks["mean mask"]["accuracy"] == audit["matters"]["mean mask"]["accuracy"]
    assert published.results["localisation"]["att1"] == results["localisation"]["att1"]

    for command, said in (
        (["evaluate", str(trained), *options, "--masks", str(tmp_path)], "leave out --masks"),
        (["grade", str(next(knee_folder.rglob("*.png"))), "--model", str(trained / "model.h5")],
         "it grades no films"),
        (["info", str(trained / "model.h5")], "joints displaced"),
    ):  # fmt: skip
        try:
            main(command)
        except SystemExit as refused:
            assert refused.code == 2
        printed = capsys.readouterr()
        assert said in printed.out + printed.err
