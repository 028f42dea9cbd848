"""Attention against expert masks: `knee-attention audit` and `evaluate --masks`."""

import json
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from small_trainings import write_mask

from knee_attention.commands.cli import main
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import InputError
from knee_attention.evidence.audit import localisation, widened
from knee_attention.networks.files.model_files import load_model, save_model
from knee_attention.networks.model import attach_attention, build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.finished.auditing import audit
from knee_attention.runs.measure import measure

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")


@pytest.fixture
def masks(tmp_path):
    """A folder with the masks of two training knees."""
    for name in ("train00R", "train31L"):
        write_mask(tmp_path / "masks" / f"{name}.png")
    return tmp_path / "masks"


def fixed_mask_model():
    """A network whose masks are the same for every image."""
    keras.utils.set_random_seed(0)
    model = build_model("antony_clsf", ("att1",), "single", (96, 96))
    layer = model.get_layer("att1_mask")
    kernel, bias = layer.get_weights()
    layer.set_weights([0 * kernel, np.random.default_rng(0).normal(size=bias.shape)])
    return model


def test_a_mask_that_no_image_changes_is_found_out():
    knees = phantom_dataset((96, 96), 10, 0, ("test",)).splits["test"]
    found = audit(fixed_mask_model(), knees).results
    assert found["knees"] == {"where": 10, "image": 10, "shuffled": 10, "matters": 10}
    branch = found["branches"]["att1"]
    for each in branch["image"]["correlation"].values():
        assert each["value"] == pytest.approx(1)
    for each in branch["image"]["attention_layers_kept"]:
        assert each["value"] == pytest.approx(1)
    for each in branch["image"]["attention_layers_shuffled"]:
        assert each["value"] < 0.8
    where, matters = branch["where"], branch["matters"]
    for other in ("mean mask", "own mask, backbone shuffled"):
        assert where[other]["average_precision"]["own_minus_this"]["value"] == 0
    for other in ("mean mask", "another knee's mask"):
        assert matters[other]["cross_entropy"]["own_minus_this"]["value"] == 0
    assert matters["inverted mask"]["cross_entropy"]["own_minus_this"]["value"] != 0


def test_the_command_prints_tables_or_json_and_writes_both_files(
    phantom_runs, knee_folder, masks, tmp_path, capsys
):
    command = ["audit", str(phantom_runs / "two"), "--data", str(knee_folder), "--limit", "5",
               "--masks", str(masks), "--masks-split", "train"]  # fmt: skip
    main([*command, "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "5 test knees" in printed and "2 train knees with a mask in masks" in printed
    assert "own mask, backbone shuffled" in printed and "inverted mask" in printed
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert written["knees"] == {"where": 2, "image": 5, "shuffled": 2, "matters": 5}
    assert str(tmp_path) not in json.dumps(written)
    assert cv2.imread(str(tmp_path / "out" / "audit.png")) is not None
    main([*command, "--json"])
    assert json.loads(capsys.readouterr().out) == written


def test_without_known_joints_the_rest_is_measured(phantom_runs, knee_folder, capsys):
    main(["audit", str(phantom_runs / "att1"), "--data", str(knee_folder), "--limit", "4"])
    printed = capsys.readouterr().out
    assert "where it looks is not measured" in printed and "--masks" in printed
    assert "Whether it matters (4 knees)" in printed


def test_plain_average_pooling_and_a_network_of_ones_own_are_audited(
    knee_folder, masks, tmp_path, capsys
):
    image = keras.Input((96, 96, 3))
    features = keras.layers.Conv2D(8, 3, strides=16, name="tap")(image)
    model = attach_attention(keras.Model(image, features, name="own"), {"att0": "tap"}, "single",
                             "none")  # fmt: skip
    model.save(tmp_path / "own.keras")
    main(["audit", str(tmp_path / "own.keras"), "--data", str(knee_folder), "--split", "train",
          "--limit", "4", "--masks", str(masks), "--output", str(tmp_path / "out")])  # fmt: skip
    printed = capsys.readouterr().out
    assert "own on 4 train knees" in printed and "att0 has no mask; only its grades" in printed
    assert "Grad-CAM" in printed and "own mask" not in printed


def test_what_cannot_be_audited_is_a_sentence(phantom_runs, knee_folder, tmp_path, refused):
    baseline = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    save_model(baseline, tmp_path / "baseline.h5", {})
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "nobodyR.png"), np.eye(112, 96, dtype=np.uint8) * 255)
    shutil.rmtree(knee_folder / "test")
    image = keras.Input((32, 32, 1))
    few = keras.Model(image, keras.layers.Conv2D(4, 3, name="tap")(image), name="few")
    attach_attention(few, {"att0": "tap"}, "single", classes=3).save(tmp_path / "few.keras")
    doubled = keras.layers.Lambda(lambda pixels: 2 * pixels, name="tap")(image)
    with_code = attach_attention(keras.Model(image, doubled), {"att0": "tap"}, "single")
    with_code.save(tmp_path / "code.keras")
    pair = [image, keras.Input((32, 32, 1))]
    of_two = keras.Model(pair, keras.layers.Multiply(name="tap")(pair))
    attach_attention(of_two, {"att0": "tap"}, "single").save(tmp_path / "two.keras")
    data, train = ("--data", knee_folder), ("--split", "train")
    run = phantom_runs / "att1"
    for arguments, said in (
        ((tmp_path / "baseline.h5", *data, *train), "without attention branches"),
        ((tmp_path / "few.keras", *data, *train), "has 3 classes, and the knees have grades up"),
        ((tmp_path / "code.keras", *data, *train), "a Lambda layer, which may hold any code"),
        ((tmp_path / "two.keras", *data, *train), "expected a network with one grey or colour"),
        ((tmp_path / "model.onnx", *data), "not an ONNX file"),
        ((tmp_path / "nothing.h5", *data), "no such model file"),
        ((run, *data), "test"),
        ((run, *data, *train, "--masks", tmp_path / "masks"), "none of its 1 masks can be used"),
        ((run, *data, *train, "--masks-split", "train"), "give --masks too"),
        ((run, *data, *train, "--output", phantom_runs / "two"), "the folder of a run"),
    ):
        assert said in refused("audit", *arguments)


@pytest.fixture(scope="module")
def trained(phantom_runs, tmp_path_factory):
    """A run of two branches on phantoms."""
    return Path(shutil.copytree(phantom_runs / "two", tmp_path_factory.mktemp("runs") / "two"))


def scores(trained):
    return json.loads((trained / "expert_masks.json").read_text())


def test_every_branch_is_scored_on_the_knees_that_have_a_mask(
    trained, knee_folder, tmp_path, capsys
):
    joints = [write_mask(tmp_path / "masks" / "train00R.png"),
              write_mask(tmp_path / "masks" / "train31_L.png", slice(20, 50))]  # fmt: skip
    main(["evaluate", str(trained), "--data", str(knee_folder), "--split", "train",
          "--masks", str(tmp_path / "masks"), "--output", str(tmp_path / "out")])  # fmt: skip
    printed = capsys.readouterr().out
    assert "attention on 2 train knees" in printed and "half a cell" in printed
    kept = scores(trained)
    assert (kept["data"], kept["split"], kept["knees"]) == ("knees", "train", 2)
    knees = load_dataset(knee_folder, (96, 96)).splits["train"]
    places = [knees.files.index("train/0/train00R.png"), knees.files.index("train/3/train31L.png")]
    masks = measure(load_model(trained / "model.h5"), knees.take(np.array(places))).masks
    for branch in ("att1", "att2"):
        assert kept["exact"][branch] == pytest.approx(localisation(masks[branch], joints))
        wider = [widened(joint, masks[branch].shape[1:]) for joint in joints]
        assert kept["widened"][branch] == pytest.approx(localisation(masks[branch], wider))
        mean = np.repeat(masks[branch].mean(axis=0)[np.newaxis], 2, axis=0)
        assert kept["averaged"][branch] == pytest.approx(localisation(mean, joints))
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["localisation"] == kept["exact"]
    page = tmp_path / "report.html"
    main(["report", str(trained), "-o", str(page)])
    assert "joints drawn by experts" in page.read_text(encoding="utf-8")


def test_a_run_that_may_only_be_read_is_measured_all_the_same(
    trained, knee_folder, tmp_path, capsys, monkeypatch
):
    def refuse(path, content):
        raise InputError(f"{path} cannot be written: Read-only file system")

    write_mask(tmp_path / "masks" / "train00R.png")
    monkeypatch.setattr("knee_attention.commands.arguments.write_json", refuse)
    main(["evaluate", str(trained), "--data", str(knee_folder), "--split", "train",
          "--masks", str(tmp_path / "masks")])
    shown = capsys.readouterr()
    assert "attention on 1 train knees" in shown.out
    assert "not kept with the run" in shown.err and "Read-only" in shown.err


def test_the_audit_of_a_run_that_may_only_be_read_writes_its_output(
    phantom_runs, tmp_path, capsys, monkeypatch
):
    def refuse_run(path, content):
        assert path.parent == phantom_runs / "att1"
        raise InputError(f"{path} cannot be written: Read-only file system")

    monkeypatch.setattr("knee_attention.commands.arguments.write_json", refuse_run)
    main(["audit", str(phantom_runs / "att1"), "--limit", "4", "--output", str(tmp_path / "out")])
    assert "not kept with the run" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"audit.json", "audit.png"}


def test_half_a_cell_of_the_grid_is_added_on_every_side():
    joint = np.zeros((32, 64), bool)
    joint[16:18, 30:40] = True
    wider = widened(joint, (8, 8))
    assert wider.sum() == (2 + 2 * 2) * (10 + 2 * 4)
    assert wider[14, 26] and wider[19, 43] and not wider[13, 30] and not wider[16, 25]


def test_masks_that_do_not_fit_are_named_and_the_rest_counts(
    trained, knee_folder, tmp_path, capsys
):
    masks = tmp_path / "masks"
    write_mask(masks / "train00R.png")
    write_mask(masks / "train10R.png", size=(96, 90))
    write_mask(masks / "nobodyR.png")
    write_mask(masks / "train20R.png", rows=slice(0))
    (masks / "train30R.png").write_bytes(b"no image")
    command = ["evaluate", str(trained), "--data", str(knee_folder), "--split", "train"]
    main([*command, "--masks", str(masks)])
    printed = capsys.readouterr().out
    assert "attention on 1 train knees" in printed
    for said in ("train10R.png: the mask has 90x96 pixels, its knee 96x112",
                 "nobodyR.png: no measured knee has the name of this mask",
                 "train20R.png: the mask marks no pixel",
                 "train30R.png: not an image"):  # fmt: skip
        assert said in printed


def test_nothing_to_score_is_a_sentence(trained, knee_folder, tmp_path, refused):
    write_mask(tmp_path / "masks" / "nobodyR.png")
    (tmp_path / "empty").mkdir()
    data = ("--data", knee_folder, "--split", "train")
    for masks, said in ((tmp_path / "masks", "none of its 1 masks can be used"),
                        (tmp_path / "empty", "none of its 0 masks"),
                        (tmp_path / "nowhere", "no such folder of masks")):  # fmt: skip
        assert said in refused("evaluate", trained, *data, "--masks", masks)
    assert "--data" in refused("evaluate", trained, "--masks", tmp_path / "masks")


def test_a_part_of_the_knees_is_measured_and_not_kept(trained, knee_folder, tmp_path, capsys):
    command = ["evaluate", str(trained), "--data", str(knee_folder), "--split", "train"]
    command += ["--masks", str(tmp_path / "masks")]
    for name in ("train00R.png", "train10R.png", "train20R.png"):
        write_mask(tmp_path / "masks" / name)
    main(command)
    kept = scores(trained)
    main([*command, "--limit", "15"])
    assert "kept" not in capsys.readouterr().out.split("attention on")[2]
    assert scores(trained) == kept


def test_data_in_the_working_directory_have_its_name(trained, knee_folder, tmp_path, monkeypatch):
    write_mask(tmp_path / "masks" / "train00R.png")
    monkeypatch.chdir(knee_folder)
    main(["evaluate", str(trained), "--data", ".", "--split", "train", "--masks",
          str(tmp_path / "masks")])  # fmt: skip
    assert scores(trained)["data"] == "knees"
