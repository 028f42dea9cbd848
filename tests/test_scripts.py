"""Scripts agree with the published runs, examples do what they say, benchmarks count right."""

import argparse
import doctest
import runpy
import subprocess
import sys
from importlib import import_module
from itertools import chain
from statistics import mean

import keras
import numpy as np
import pytest
from stand_ins import EXPERIMENTS, load_script

from knee_attention.commands.scripts.experiment import main
from knee_attention.evidence.paper import PAPER_TABLE_1, PAPER_TABLE_2
from knee_attention.films.image_files import is_picture
from knee_attention.limits import REGRESSION
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.published_runs import by_experiment, read_runs

NAMES = [f"{backbone}_{variant}" for backbone, row in PAPER_TABLE_1.items() for variant in row]

BASELINES = [name for name, variant in PAPER_TABLE_2 if variant == "baseline"]
RELATED = ["vgg16_plain", "jetley", "tiulpin"]
DEVICES = {"H100": "an H100", "2-core CPU": "2 CPU cores"}
"""Devices of published runs, fastest first: part of the recorded name, and words."""


def script(name):
    return load_script(EXPERIMENTS / f"run_{name}.py")


@pytest.fixture(scope="module")
def published():
    """`{experiment: {accuracies in %, trainings, image size, minutes, device}}` of kneeKL224."""
    runs = by_experiment(read_runs(EXPERIMENTS / "results" / "kneekl224"))
    return {name: numbers(trainings) for name, trainings in runs.items()}


def numbers(trainings):
    """Mean accuracies, and the minutes of the fastest training on the fastest device."""
    minutes = {}
    for training in trainings:
        [words] = [DEVICES[part] for part in DEVICES if part in training.environment["device"]]
        minutes[words] = min(minutes.get(words, float("inf")), training.minutes)
    device = next(words for words in DEVICES.values() if words in minutes)
    return {
        "accuracies": {
            output: 100 * mean(training.outputs[output]["accuracy"] for training in trainings)
            for output in trainings[0].outputs
        },
        "trainings": len(trainings),
        "image_size": trainings[0].experiment["image_size"],
        "minutes": max(1, round(minutes[device])),
        "device": device,
    }


def paper_sentence(table, accuracies):
    """The sentence of a docstring on the paper's accuracies, `{output: percent}`."""
    shown = in_words({output: f"{accuracy:g}%" for output, accuracy in accuracies.items()})
    return f"Paper (Table {table}): accuracy {shown}."


def our_sentence(known, outputs):
    """The sentence of a docstring on our accuracies by these outputs."""
    if known is None:
        return "Here: not trained."
    shown = in_words({output: f"{known['accuracies'][output]:.1f}%" for output in outputs})
    several = known["trainings"] > 1
    count = f"mean of {known['trainings']} trainings" if several else "1 training"
    minutes = "1 minute" if known["minutes"] == 1 else f"{known['minutes']} minutes"
    return (f"Here (kneeKL224 validation, {'x'.join(map(str, known['image_size']))} pixels, "
            f"{count}): {shown}; {minutes} on {known['device']}.")


def in_words(accuracies):
    """`att0 64.3%, att1 63.2%`; of one output only the number."""
    if len(accuracies) == 1:
        return next(iter(accuracies.values()))
    return ", ".join(f"{output} {shown}" for output, shown in accuracies.items())


def test_there_are_twenty():
    files = (EXPERIMENTS.glob(f"run_{backbone}_*.py") for backbone in PAPER_TABLE_1)
    found = {path.stem.removeprefix("run_") for path in chain.from_iterable(files)}
    assert found - {*BASELINES, *RELATED} == set(NAMES) and len(NAMES) == 20


@pytest.mark.parametrize("name", [*NAMES, *BASELINES])
def test_name_docstring_and_experiment_agree(name, published):
    module = script(name)
    experiment = module.EXPERIMENT
    text = " ".join(module.__doc__.split())
    table, paper = paper_of(name, experiment)
    assert experiment.name == name and f"run_{name}.py" in text
    assert [output for output in experiment.output_weights if output != REGRESSION] == list(paper)
    assert text.endswith(
        f"{paper_sentence(table, paper)} {our_sentence(published.get(name), list(paper))}"
    )
    if experiment.fusion == "multi_loss":
        assert experiment.loss_weights == (1.0, 0.8)


@pytest.mark.parametrize("name", RELATED)
def test_scripts_of_related_systems_agree(name, published):
    module = script(name)
    text = " ".join(module.__doc__.split())
    assert module.EXPERIMENT.name == name and f"run_{name}.py" in text
    assert text.endswith(our_sentence(published.get(name), ["kl"]))


def paper_of(name, experiment):
    """The number of the table that holds an experiment, and `{output: percent}` in it."""
    if name not in BASELINES:
        return 1, PAPER_TABLE_1[experiment.backbone][experiment.variant]
    values = PAPER_TABLE_2[name, experiment.variant]
    return 2, {output: value["accuracy"] for output, value in values.items()}


def test_the_defaults_are_the_paper_s():
    paper = Experiment()
    assert (paper.image_size, paper.epochs, paper.batch_size) == ((320, 224), 100, 64)
    assert (paper.learning_rate, paper.weights) == (1e-5, "scratch")


def test_help_answers_without_keras():
    command = [sys.executable, "-X", "importtime", EXPERIMENTS / "run_vgg16_multiloss.py", "--help"]
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


@pytest.fixture(scope="module")
def benchmark():
    return load_script(EXPERIMENTS / "benchmark.py")


@pytest.fixture(scope="module")
def networks():
    return load_script(EXPERIMENTS / "benchmark_networks.py")


def test_vgg16_multi_loss_needs_39_7_gflop(networks):
    assert networks.convolution_gflop(build_model()) == pytest.approx(39.7, abs=0.1)


def test_the_best_round_counts_quantity_by_quantity(benchmark):
    first = {"precision": "float32", "training": 2.0, "first_step": 5.0, "memory": 3.0}
    second = {"precision": "float32", "training": 1.0, "first_step": 4.0, "memory": 3.5}
    best = benchmark.better(benchmark.better(None, first), second)
    assert best == {"precision": "float32", "training": 2.0, "first_step": 4.0, "memory": 3.0}


def test_a_convolution_rate_is_measured(networks, monkeypatch):
    monkeypatch.setattr(networks, "CONVOLUTION_SIZE", (16, 16))
    assert 1 < networks.convolution_rate("float32") < 1e6


def test_what_was_measured_before_a_failure_is_printed(benchmark, monkeypatch, tmp_path, capsys):
    failing = tmp_path / "model.py"
    failing.write_text("print('[\"training\", 2.0]', flush=True)\nraise SystemExit('no memory')")
    monkeypatch.setattr(benchmark, "NETWORKS", failing)
    options = argparse.Namespace(image_size=(96, 64), batch_size=2, steps=1)
    assert benchmark.in_own_process("float32", options) is None
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["  training 2.00 images/s", "  not measured further: no memory"]


@pytest.mark.usefixtures("eager")
def test_the_snippets_do_what_they_say(tmp_path, phantom_runs, capsys):
    script = runpy.run_path(str(EXPERIMENTS / "library.py"))
    small = str(phantom_runs / "two")
    for snippet in script["SNIPPETS"]:
        tunes = snippet is script["fine_tune_the_shipped_model"]
        snippet(tmp_path, small) if tunes else snippet(tmp_path)
    said = capsys.readouterr().out
    assert "L KL 3" in said and "'att1_mask': (10, 5, 5, 1)" in said
    assert "fine-tuned: KL" in said and "{'att1': (None, 5), 'att2': (None, 5)}" in said
    assert is_picture(tmp_path / "film.png")
    masks = np.load(tmp_path / "att1_masks.npy")
    assert masks.shape == (10, 5, 5) and 0 <= masks.min() < masks.max() <= 1
    own = keras.saving.load_model(tmp_path / "own.keras")
    assert own.get_layer("att1_mask") and list(own.output) == ["kl"]
    tuned = tmp_path / "fine_tuned.h5"
    assert read_description(tuned)["cutting"] == read_description(small)["cutting"]
    for layer, moved in (("conv1", False), ("att1_mask", True)):
        before, after = (load_model(path).get_layer(layer).get_weights()[0]
                         for path in (small, tuned))  # fmt: skip
        assert np.array_equal(before, after) != moved


attend = runpy.run_path(str(EXPERIMENTS / "run_attention_on_any_network.py"))["main"]


@pytest.mark.usefixtures("eager")
def test_attention_on_any_network_trains_draws_masks_and_saves_a_model(tmp_path, capsys):
    attend(["--limit", "10", "--epochs", "1", "--taps", "block_6_expand_relu", "--attention",
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
def test_what_cannot_be_built_is_one_sentence(arguments, reason, refused):
    assert reason in refused(attend, arguments)


def test_attention_on_any_network_lists_the_layers_that_can_be_tapped(capsys):
    attend(["--list-layers"])
    assert "block_6_expand_relu  (20, 14, 192)" in capsys.readouterr().out.splitlines()


EXAMPLES = {
    "attach_attention": "knee_attention.networks.model",
    "attention_branch": "knee_attention.networks.attention",
    "bootstrap_intervals": "knee_attention.evidence.intervals",
    "build_model": "knee_attention.networks.model",
    "decide": "knee_attention.evidence.decision",
    "grade_metrics": "knee_attention.evidence.metrics",
    "load_dataset": "knee_attention.datasets.dataset",
    "load_grader": "knee_attention.grading.grader",
    "LocallyConnected2D": "knee_attention.networks.layers",
    "shift_cut_points": "knee_attention.evidence.calibration",
    "nonconformity": "knee_attention.evidence.prediction_sets",
    "prepared_knees": "knee_attention.films.network_input",
    "split_knees": "knee_attention.films.legs",
    "with_masks": "knee_attention.networks.attention",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name):
    module = import_module(EXAMPLES[name])
    finder = doctest.DocTestFinder(recurse=False)
    [examples] = finder.find(getattr(module, name), name, module, dict(vars(module)))
    assert examples.examples
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples)
    assert results.failed == 0
