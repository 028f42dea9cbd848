import keras
import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.model import build_model
from knee_attention.networks.weights import input_channels, read_weights, set_weights_by_layer


@pytest.fixture
def notop(tmp_path):
    """A Keras 2 style weights file of VGG-16 without its top, for colour images."""
    network = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16_notop.h5"
    network.save(path, include_optimizer=False)
    return path, network


def test_a_notop_file_is_loaded_by_layer(notop):
    path, network = notop
    weights = read_weights(path)
    assert input_channels(weights) == 3
    model = build_model(image_size=(64, 64), channels=3)
    assert "block4_conv3" in set_weights_by_layer(model, weights, str(path))
    for name in ("block1_conv1", "block4_conv3"):
        for ours, theirs in zip(
            model.get_layer(name).get_weights(), network.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_own_models_are_loaded_heads_included_and_masks_where_they_fit(tmp_path, suffix):
    before = build_model("antony_clsf", ("att1",), "single", (96, 96))
    before.save(tmp_path / f"model{suffix}", include_optimizer=False)
    weights = read_weights(tmp_path / f"model{suffix}")
    after = build_model("antony_clsf", ("att1",), "single", (128, 96))
    taken = set_weights_by_layer(after, weights, "file")
    assert "att1" in taken and "att1_conv1" in taken and "att1_mask" not in taken


def test_weights_of_another_architecture_are_refused_by_name(notop):
    path, _ = notop
    model = build_model("antony_clsf", ("att1",), "single", (96, 96))
    with pytest.raises(InputError, match=r"do not fit: conv1 \(missing\)"):
        set_weights_by_layer(model, read_weights(path), str(path))
    grey = build_model(image_size=(64, 64))
    with pytest.raises(InputError, match="block1_conv1"):
        set_weights_by_layer(grey, read_weights(path), str(path))


def test_what_holds_no_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such model file"):
        read_weights(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="(Git LFS pointer|no readable model file)"):
        read_weights(tmp_path / "text.h5")
    (tmp_path / "text.keras").write_text("no zip")
    with pytest.raises(InputError, match="(Git LFS pointer|no readable model file)"):
        read_weights(tmp_path / "text.keras")
