import numpy as np

from knee_attention.evidence.evaluation import metrics_with_intervals
from knee_attention.evidence.result_lines import (
    RESULT_COLUMNS,
    difference_table,
    metrics_table,
    results_table,
    with_interval,
)


def test_a_number_stands_with_its_interval():
    assert with_interval(0.6434, [0.61, 0.6699]) == "0.643 [0.610, 0.670]"
    assert with_interval(0.02, [-0.1, 0.14], "+") == "+0.020 [-0.100, +0.140]"
    assert with_interval(0.5, None) == "0.500"
    assert with_interval(None, None) == "undefined"


def test_columns_stand_below_their_titles():
    metrics = metrics_with_intervals(np.arange(5), np.eye(5), list("abcde"))
    lines = metrics_table({"att0": metrics, "a longer name": metrics}).splitlines()
    start = lines[0].index("accuracy")
    assert [line[start : start + 20] for line in lines[1:]] == ["1.000 [1.000, 1.000]"] * 2


def test_an_undefined_difference_says_so():
    value = {"difference": 0.1, "interval": [0.0, 0.2]}
    pair = {"metrics": {"accuracy": value, "kappa": None, "kappa_quadratic": value}}
    assert difference_table({"a - b": pair}).splitlines()[1] == (
        "a - b       +0.100 [+0.000, +0.200]  undefined  +0.100 [+0.000, +0.200]"
    )


def test_every_number_of_a_run_stands_below_its_title():
    metrics = metrics_with_intervals(np.arange(5), np.eye(5)[[0, 1, 2, 3, 0]], list("abcde"))
    results = {"name": "vgg16_att0", "backbone": "vgg16", "variant": "att0", "split": "test",
               "knees": 5, "synthetic": True, "chosen": "att0", "test": {"att0": metrics}}
    _, titles, row, *_ = results_table(results).splitlines()
    assert titles.split() == ["output", *RESULT_COLUMNS.values(), "paper"]
    shown = [f"{metrics[name]:.3f}" for name in RESULT_COLUMNS]
    assert row.split() == ["att0*", *shown, "0.622"]
