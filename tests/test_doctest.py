"""The examples in the docstrings of public functions run and print what they show."""

import doctest
from importlib import import_module

import pytest

EXAMPLES = {
    "attach_attention": "knee_attention.networks.attach",
    "attention_branch": "knee_attention.networks.attention",
    "bootstrap_intervals": "knee_attention.evidence.intervals",
    "build_model": "knee_attention.networks.model",
    "decide": "knee_attention.evidence.decision",
    "grade_metrics": "knee_attention.evidence.metrics",
    "load_dataset": "knee_attention.datasets.dataset",
    "load_grader": "knee_attention.grading.grader",
    "LocallyConnected2D": "knee_attention.networks.layers",
    "moved": "knee_attention.evidence.cut_points",
    "nonconformity": "knee_attention.evidence.prediction_sets",
    "prepared_knees": "knee_attention.films.network_input",
    "split_knees": "knee_attention.films.legs",
    "with_masks": "knee_attention.networks.masks",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name):
    module = import_module(EXAMPLES[name])
    finder = doctest.DocTestFinder(recurse=False)
    [examples] = finder.find(getattr(module, name), name, module, dict(vars(module)))
    assert examples.examples
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples)
    assert results.failed == 0
