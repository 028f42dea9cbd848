"""`knee-attention audit`."""

import json
import shutil

import cv2
import keras
import numpy as np
import pytest

from knee_attention.commands.cli import main
from knee_attention.networks.attach import attach_attention
from knee_attention.networks.files.model_files import save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.runs.finished.auditing import audit

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def masks(tmp_path):
    """A folder with the masks of two training knees."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in ("train00R", "train31L"):
        mask = np.zeros((96, 96), np.uint8)
        mask[40:56] = 255
        cv2.imwrite(str(folder / f"{name}.png"), mask)
    return folder


def fixed_mask_model():
    """A network whose masks are the same for every image."""
    keras.utils.set_random_seed(0)
    model = build_model("antony_clsf", ("att1",), "single", (96, 96))
    layer = model.get_layer("att1_mask")
    kernel, bias = layer.get_weights()
    layer.set_weights([0 * kernel, np.random.default_rng(0).normal(size=bias.shape)])
    return model


def test_a_mask_that_no_image_changes_is_found_out(blank_figures):
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
    again = capsys.readouterr().out
    assert json.loads(again[again.index("{") :]) == written


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
    assert "own on 4 train knees" in printed and "att0 has no mask; left to measure" in printed
    assert "Grad-CAM" in printed and "own mask" not in printed


def test_what_cannot_be_audited_is_a_sentence(phantom_runs, knee_folder, tmp_path, refused):
    baseline = build_model("antony_clsf_baseline", (), "dense", (96, 96))
    save_model(baseline, tmp_path / "baseline.h5", {})
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "nobodyR.png"), np.eye(96, dtype=np.uint8) * 255)
    shutil.rmtree(knee_folder / "test")
    data, train = ("--data", knee_folder), ("--split", "train")
    run = phantom_runs / "att1"
    for arguments, said in (
        ((tmp_path / "baseline.h5", *data, *train), "without attention branches"),
        ((tmp_path / "model.onnx", *data), "can only grade"),
        ((tmp_path / "nothing.h5", *data), "no such model file"),
        ((run, *data), "test"),
        ((run, *data, *train, "--masks", tmp_path / "masks"), "none of its 1 masks can be used"),
        ((run, *data, *train, "--masks-split", "train"), "give --masks too"),
        ((run, *data, *train, "--output", phantom_runs / "two"), "the folder of a run"),
    ):
        assert said in refused("audit", *arguments)
