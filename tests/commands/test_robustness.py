"""`knee-attention robustness`, the corruptions that it measures, and the random ones."""

import json
from collections import Counter

import cv2
import keras
import numpy as np
import pytest

from knee_attention.commands.cli import main
from knee_attention.evidence.figures.audit import robustness_figure
from knee_attention.films import corruption
from knee_attention.films.corruption import (
    CORRUPTIONS,
    CorruptedPreparation,
    corrupted,
    cut_off,
)
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import resize_knee
from knee_attention.grading.grader import Grader
from knee_attention.grading.robustness import robustness
from knee_attention.networks.files.model_files import save_model
from knee_attention.networks.model import build_model

pytestmark = pytest.mark.usefixtures("eager")
SIZE = (224, 224)


@pytest.fixture
def knee():
    """An image with edges and noise, from 0 to 255."""
    image = np.random.default_rng(0).integers(0, 100, SIZE).astype(np.uint8)
    image[80:140, 60:180] += 120
    image[0, 0], image[-1, -1] = 0, 255
    return image


def square(side, shape=SIZE):
    """A bright square of this side in the middle of a dark image."""
    image = np.full(shape, 50, np.uint8)
    first = (shape[0] - side) // 2
    image[first : first + side, first : first + side] = 200
    return image


def test_a_line_is_blurred_by_two_pixels():
    line = np.zeros(SIZE, np.uint8)
    line[:, 112] = 255
    spread = corruption.blur(line).astype(float)[112]
    deviation = np.sqrt((spread * (np.arange(224) - 112) ** 2).sum() / spread.sum())
    assert deviation == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("deviation", [corruption.FILM_NOISE, corruption.NOISE])
def test_noise_has_its_deviation_and_follows_from_the_seed(deviation):
    grey = np.full(SIZE, 128, np.uint8)
    noisy = corruption.noise(grey, 1, deviation)
    assert noisy.std() == pytest.approx(255 * deviation, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    np.testing.assert_array_equal(noisy, corruption.noise(grey, 1, deviation))
    assert (noisy != corruption.noise(grey, 2, deviation)).mean() > 0.8


def test_gamma_keeps_the_ends_and_the_order_of_the_grey_values():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    darker, brighter = (CORRUPTIONS[name](ramp, 0).ravel().astype(int)
                        for name in ("darker, gamma 1.6", "brighter, gamma 1/1.6"))  # fmt: skip
    assert darker[128] == round(255 * (128 / 255) ** 1.6) < 128 < brighter[128]
    for found in (darker, brighter):
        assert (found[0], found[255]) == (0, 255) and (np.diff(found) >= 0).all()


def test_half_the_resolution_loses_single_pixels_and_keeps_areas():
    board = np.indices(SIZE).sum(axis=0).astype(np.uint8) % 2 * 200
    assert (corruption.low_resolution(board) == 100).all()
    image = square(100)
    lost = np.abs(corruption.low_resolution(image).astype(int) - image)
    assert lost[90:130, 90:130].max() == lost[:50].max() == 0


def test_jpeg_loses_fine_detail_that_a_better_quality_keeps():
    board = (124 + np.indices(SIZE).sum(axis=0) % 2 * 8).astype(np.uint8)
    assert np.ptp(corruption.jpeg(board, 30)) == 0
    better = cv2.imdecode(cv2.imencode(".jpg", board, [cv2.IMWRITE_JPEG_QUALITY, 95])[1], 0)
    assert np.ptp(better) > 4


@pytest.mark.parametrize(("name", "side"), [
    ("crop 15% too wide", 100 / 1.15), ("crop 15% too narrow", 100 / 0.85)
])  # fmt: skip
def test_a_crop_of_another_width_shows_the_joint_smaller_or_larger(name, side):
    found = CORRUPTIONS[name](square(100), 0) > 125
    assert np.sqrt(found.sum()) == pytest.approx(side, abs=1)
    assert found[:, :112].sum() == found[:, 112:].sum()


def test_rotation_to_the_left_lifts_what_is_on_the_right():
    image = np.zeros(SIZE, np.uint8)
    image[108:116, 185:193] = 255
    for name, rise in (("left", np.sin(np.pi / 18)), ("right", -np.sin(np.pi / 18))):
        rows, _ = np.nonzero(CORRUPTIONS[f"rotated by 10 degrees to the {name}"](image, 0) > 127)
        assert 111.5 - rows.mean() == pytest.approx(77 * rise, abs=0.5)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_an_image_and_draws_no_black_border(name, knee):
    corrupted = CORRUPTIONS[name](knee, 0)
    assert corrupted.dtype == np.uint8 and corrupted.shape == knee.shape
    assert (corrupted != knee).mean() > 0.3
    bright = np.full(SIZE, 200, np.uint8)
    assert CORRUPTIONS[name](bright, 0).min() > 100


def test_knees_are_corrupted_at_the_network_s_size_and_then_equalised(knee):
    plain, large = Preparation(), cv2.resize(knee, (672, 672), interpolation=cv2.INTER_NEAREST)
    prepared = CorruptedPreparation(**vars(plain), corruption="blur, 2 of 224 pixels")
    blurred = corruption.blur(resize_knee(large, SIZE))
    np.testing.assert_array_equal(prepared.knee(large, SIZE), cv2.equalizeHist(blurred))
    clean = CorruptedPreparation(**vars(plain))
    np.testing.assert_array_equal(clean.knee(large, SIZE), plain.knee(large, SIZE))


def test_the_noise_of_a_knee_depends_on_its_name_alone(knee):
    noisy = CorruptedPreparation(corruption="noise, 8% of the grey range")
    first = noisy.knee(knee, SIZE, "data/train/2/9000001L.png")
    np.testing.assert_array_equal(first, noisy.knee(knee, SIZE, "9000001_L"))
    assert (first != noisy.knee(knee, SIZE, "9000001_R")).mean() > 0.5


class BarReader:
    """A network that reads the grade of a `blob_knee` from the thickness of its bar."""

    path = "bars.h5"
    description = {"outputs": ["att0"], "image_size": [112, 96]}

    def __call__(self, images):
        rows = (images[:, :, 48, 0] > 245).sum(axis=1)
        grades = np.rint((rows - 4) / 6).clip(0, 4).astype(int)
        return {"att0": np.eye(5)[grades]}


def test_only_what_changes_the_bars_costs_a_reader_of_bars(knee_folder):
    results, knees = robustness(Grader(BarReader()), str(knee_folder), "train")
    assert (results["knees"], results["persons"], results["rule"]) == (20, 10, "probable")
    assert len(knees.splits["train"]) == 20
    assert results["clean"]["accuracy"] == {"value": 1, "interval": [1, 1]}
    found = results["corruptions"]
    assert list(found) == list(CORRUPTIONS)
    for name in ("darker, gamma 1.6", "brighter, gamma 1/1.6"):
        assert found[name]["kappa_quadratic"] == {"value": 1, "difference": 0, "interval": [0, 0]}
    wide = found["crop 15% too wide"]["accuracy"]
    assert wide["value"] == 1 + wide["difference"] < 1
    assert wide["interval"][0] <= wide["difference"] <= wide["interval"][1]
    assert robustness(Grader(BarReader()), str(knee_folder), "train")[0] == results
    few, _ = robustness(Grader(BarReader()), str(knee_folder), "train", 5)
    assert few["knees"] == 5


@pytest.fixture
def small_model(tmp_path):
    """An untrained network as model.h5."""
    keras.utils.set_random_seed(0)
    model = build_model("antony_clsf", ("att1",), "single", (96, 96))
    save_model(model, tmp_path / "model.h5", {"name": "small"})
    return tmp_path / "model.h5"


def test_the_command_prints_a_table_or_json_and_an_onnx_file_gives_the_same(
    small_model, knee_folder, tmp_path, capsys
):
    pytest.importorskip("onnx")
    exported = small_model.with_suffix(".onnx")
    main(["export", str(small_model), str(exported)])
    options = ["--data", str(knee_folder), "--limit", "5"]
    main(["robustness", str(small_model), *options, "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "small on 5 test knees of 5 persons (knees), graded by the rule probable" in printed
    assert "JPEG of quality 30" in printed and "quadratic kappa" in printed
    written = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert written["knees"] == 5 and list(written["corruptions"]) == list(CORRUPTIONS)
    assert str(tmp_path) not in json.dumps(written)
    assert cv2.imread(str(tmp_path / "out" / "robustness.png")) is not None
    main(["robustness", str(exported), *options, "--json"])
    assert json.loads(capsys.readouterr().out) == written
    written["clean"]["kappa_quadratic"] = {"value": None, "interval": None}
    robustness_figure(written, tmp_path / "undefined.png")
    assert cv2.imread(str(tmp_path / "undefined.png")) is not None


def test_what_cannot_be_measured_is_a_sentence(small_model, knee_folder, tmp_path, refused):
    (tmp_path / "damaged.onnx").write_bytes(b"onnx")
    data = ("--data", knee_folder)
    for arguments, said in (
        ((tmp_path / "nothing.h5", *data), "no such model file"),
        ((tmp_path / "damaged.onnx", *data), "damaged.onnx"),
        ((small_model, "--data", tmp_path / "none"), "no such folder or file"),
        ((small_model, *data, "--split", "train", "--output", small_model), "model.h5"),
    ):
        assert said in refused("robustness", *arguments)


def test_corruptions_have_their_shares(monkeypatch):
    seen = Counter()

    def counted(name, holder, function):
        def count(*arguments):
            seen[name] += 1
            return function(*arguments)

        monkeypatch.setattr(holder, name, count)

    counted("noise", corruption, corruption.noise)
    counted("jpeg", corruption, corruption.jpeg)
    counted("GaussianBlur", corruption.cv2, corruption.cv2.GaussianBlur)
    generator = np.random.default_rng(0)
    for _ in range(400):
        corrupted(np.full((64, 64), 128, np.uint8), generator)
    assert seen["noise"] == pytest.approx(200, abs=40)
    assert seen["GaussianBlur"] == pytest.approx(80, abs=35)
    assert seen["jpeg"] == pytest.approx(40, abs=25)


def test_a_knee_that_is_cut_off_keeps_its_joint_and_repeats_its_last_rows():
    knee = np.tile(np.arange(0, 200, dtype=np.uint8)[:, None], (1, 50))
    generator = np.random.default_rng(0)
    for _ in range(20):
        rows = cut_off(knee, generator)[:, 0]
        assert len(rows) == 200
        np.testing.assert_array_equal(rows, np.clip(np.arange(200), rows[0], rows[-1]))
        assert rows[0] <= 80
        assert rows[-1] >= 129
