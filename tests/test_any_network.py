"""The example that puts attention on a network of keras.applications."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "experiments" / "run_attention_on_any_network.py"
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.mark.usefixtures("eager")
def test_it_trains_draws_its_masks_and_saves_a_model_of_keras(tmp_path, capsys):
    main(["--limit", "10", "--epochs", "1", "--taps", "block_6_expand_relu", "--attention",
          "shared", "--output", str(tmp_path)])  # fmt: skip
    printed = capsys.readouterr().out
    assert "att0 at block_6_expand_relu: accuracy 0." in printed
    assert "on 10 synthetic knees, attention" in printed
    assert (tmp_path / "masks.png").stat().st_size > 10_000
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert np.asarray(model(np.zeros((1, 160, 112, 1), "uint8"))["att0"]).shape == (1, 5)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--network", "Nope"], "keras.applications has no Nope; it has ConvNeXtBase,"),
        (["--taps", "block_6_expandd"], "no layer 'block_6_expandd'; did you mean block_6_expand"),
        (["--taps", "pixels", "pixels"], "expected a different layer for each branch"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(arguments, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and reason in capsys.readouterr().err


def test_it_lists_the_layers_that_can_be_tapped(capsys):
    main(["--list-layers"])
    assert "block_6_expand_relu  (20, 14, 192)" in capsys.readouterr().out.splitlines()
