"""float16 files: half the size, nearly the same predictions."""

import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files.float16 import write_half_size
from knee_attention.networks.files.model_files import load_model, read_description, save_model
from knee_attention.networks.model import build_model


@pytest.fixture
def saved(tmp_path):
    model = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    save_model(model, tmp_path / "model.h5", {"name": "whole", "chosen": "att1"})
    return model, tmp_path / "model.h5"


def test_it_is_half_as_large_says_the_same_of_itself_and_grades_nearly_the_same(saved, tmp_path):
    model, path = saved
    half = tmp_path / "half.h5"
    write_half_size(path, half)
    assert half.stat().st_size < 0.62 * path.stat().st_size
    assert read_description(half) == read_description(path)
    knees = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 1))
    loaded = load_model(half)
    assert all(variable.dtype == "float32" for variable in loaded.trainable_variables)
    for output, values in model.predict(knees, verbose=0).items():
        np.testing.assert_allclose(loaded.predict(knees, verbose=0)[output], values, atol=5e-3)


def test_what_float16_cannot_hold_is_refused(saved, tmp_path):
    model, path = saved
    model.get_layer("att1_norm").moving_variance.assign(np.full(96, 1e6, np.float32))
    save_model(model, path, {})
    with pytest.raises(InputError, match="moving_variance"):
        write_half_size(path, tmp_path / "half.h5")
    assert not (tmp_path / "half.h5").exists()
