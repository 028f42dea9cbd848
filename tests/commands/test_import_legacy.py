import h5py
import numpy as np
import pytest

from knee_attention.commands.cli import main
from knee_attention.grading.grader import load_grader
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.networks.model import PIXEL_DEVIATION, PIXEL_MEAN, build_model

SIZE = ["--image-size", "96", "96"]


@pytest.fixture
def old(tmp_path):
    """A weights file of two branches, in the layout that Keras 2 and 3 share, and its model."""
    model = build_model("antony_extended", ("att1", "att2"), "multi_loss", (96, 96),
                        pixel_mean=PIXEL_MEAN, pixel_deviation=PIXEL_DEVIATION)
    path = tmp_path / "weights.h5"
    model.save(path)
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
    return path, model


def import_legacy(*arguments):
    main(["import-legacy", *map(str, arguments)])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_an_old_file_becomes_one_that_grades(old, tmp_path, capsys, small_knees, suffix):
    path, model = old
    new = tmp_path / f"new{suffix}"
    import_legacy(path, new, "--backbone", "antony_extended", "--branches", "att2", "att1", *SIZE)
    printed = capsys.readouterr().out
    assert f"{new}: antony_extended_multi_loss_att1_att2, grades by att2" in printed
    assert "backbone     7 layers: conv1, ..., conv4_2" in printed
    assert "att1         5 layers: att1_norm, att1_conv1, att1_conv2, att1_mask, att1" in printed
    assert f"knee-attention grade --model {new} FILE" in printed
    said = read_description(new)
    assert said["chosen"] == "att2" and said["imported_from"] == "weights.h5"
    assert said["parameters"] == model.count_params() and said["synthetic"] is False
    images = small_knees[0].astype(np.float32)
    for name, values in load_model(new).predict(images, verbose=0).items():
        np.testing.assert_allclose(values, model.predict(images, verbose=0)[name], atol=1e-6)
    [knee] = load_grader(new).grade(small_knees[0][0, ..., 0], view="single")
    assert knee.chosen == "att2"


def test_the_branch_and_the_pixels_can_be_chosen(old, tmp_path):
    import_legacy(old[0], tmp_path / "new.h5", "--backbone", "antony_extended", "--branches",
                  "att1", "att2", *SIZE, "--chosen", "att2", "--pixel-mean", 0,
                  "--pixel-deviation", 255)
    said = read_description(tmp_path / "new.h5")
    assert said["chosen"] == "att2"
    assert said["pixel_deviation"] == pytest.approx(255) and not any(said["pixel_mean"])


def test_what_cannot_be_imported_is_said_in_one_sentence(old, tmp_path, refused):
    path, new = old[0], tmp_path / "new.h5"
    both = ["--backbone", "antony_extended", "--branches", "att1", "att2"]
    other = tmp_path / "new.onnx"
    assert "must end in .h5 or .keras" in refused("import-legacy", path, other, *both)
    assert "would be overwritten" in refused("import-legacy", path, path, *both)
    assert "no such model file" in refused("import-legacy", tmp_path / "none.h5", new, *both)
    assert "--chosen att0: expected one of att1, att2" in refused(
        "import-legacy", path, new, *both, *SIZE, "--chosen", "att0"
    )
    assert "another architecture than vgg16_single_att0: block1_conv1" in refused(
        "import-legacy", path, new, "--backbone", "vgg16", "--branches", "att0"
    )
    assert "masks do not fit 128x128 images" in refused(
        "import-legacy", path, new, *both, "--image-size", "128", "128"
    )
    (tmp_path / "file").touch()
    said = refused("import-legacy", path, tmp_path / "file" / "n.h5", *both, *SIZE)
    assert "cannot be written" in said
    assert not new.exists()
