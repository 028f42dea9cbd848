"""The scripts of the tables: file name, docstring and experiment say the same."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from knee_attention.commands.scripts.experiment import main
from knee_attention.evidence.paper import PAPER_TABLE_1, PAPER_TABLE_2
from knee_attention.runs.experiment import Experiment

FOLDER = Path(__file__).parents[1] / "experiments"
NAMES = [f"{backbone}_{variant}" for backbone, row in PAPER_TABLE_1.items() for variant in row]

BASELINES = [name for name, variant in PAPER_TABLE_2 if variant == "baseline"]


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"run_{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_twenty():
    files = (path for backbone in PAPER_TABLE_1 for path in FOLDER.glob(f"run_{backbone}_*.py"))
    found = {path.stem.removeprefix("run_") for path in files}
    assert found - set(BASELINES) == set(NAMES) and len(NAMES) == 20


@pytest.mark.parametrize("name", BASELINES)
def test_the_baselines_of_table_2_agree(name):
    module = script(name)
    experiment = module.EXPERIMENT
    assert experiment.name == name and f"run_{name}.py" in module.__doc__
    [paper] = PAPER_TABLE_2[name, experiment.variant].values()
    assert f"Table 2: {paper['accuracy']:g}%" in module.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_name_docstring_and_experiment_agree(name):
    module = script(name)
    experiment = module.EXPERIMENT
    assert experiment.name == name
    paper = PAPER_TABLE_1[experiment.backbone][experiment.variant]
    assert list(experiment.output_weights) == list(paper)
    assert f"run_{name}.py" in module.__doc__
    assert all(f"{accuracy:g}%" in module.__doc__ for accuracy in paper.values())
    if experiment.fusion == "multi_loss":
        assert experiment.loss_weights == (1.0, 0.8)


def test_the_defaults_are_the_paper_s():
    paper = Experiment()
    assert (paper.image_size, paper.epochs, paper.batch_size) == ((320, 224), 100, 64)
    assert (paper.learning_rate, paper.weights) == (1e-5, "scratch")


def test_help_answers_without_keras():
    command = [sys.executable, "-X", "importtime", FOLDER / "run_vgg16_multiloss.py", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.split("|")[-1].strip() for line in ended.stderr.splitlines()}
    assert "argparse" in imported and not imported & {"keras", "tensorflow", "jax", "pandas"}
    for option in ("--data", "--output", "--epochs", "--batch-size", "--learning-rate",
                   "--image-size", "--precision", "--weights", "--batch-norm", "--limit",
                   "--seed", "--overwrite", "--pdf"):  # fmt: skip
        assert option in ended.stdout


def test_help_says_what_is_trained(capsys):
    for name, words in (("vgg16_multiloss", "branches att0, att1, multi loss"),
                        ("antony_clsf_baseline", "no attention, dense")):  # fmt: skip
        with pytest.raises(SystemExit):
            main(script(name).EXPERIMENT, ["--help"])
        assert words in " ".join(capsys.readouterr().out.split())
