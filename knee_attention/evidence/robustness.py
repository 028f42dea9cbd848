"""What a model loses by corrupted knees: numbers and text.

The results of a measurement, the content of `robustness.json`, are:

- `model`, `data`, `split`, `knees`, `persons`, and `rule`, the decision rule;
- `clean`: for each of `METRICS` its `value` and its `interval`;
- `corruptions`: for each corruption and each of `METRICS` its `value`, the `difference` to the
  clean knees, and the `interval` of the difference.

Intervals are 95% over persons. A metric that is undefined is None.
"""

from collections.abc import Mapping

from knee_attention.evidence.finished_run import metrics_with_intervals
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.result_lines import (
    NO_DIFFERENCE,
    aligned,
    difference_text,
    with_interval,
)

METRICS = {"accuracy": "accuracy", "kappa_quadratic": "quadratic kappa"}
"""The metrics of a measurement, and their titles."""


def losses_by_corruption(
    clean: Predictions, corrupted: Mapping[str, Predictions], output: str
) -> dict:
    """The entries `clean` and `corruptions` of the results.

    Args:
        clean: predictions of the clean knees.
        corrupted: `{corruption: predictions of the same knees}`.
        output: the output to measure.
    """
    found = metrics_with_intervals(clean.grades, clean.of(output), clean.subjects)
    return {
        "clean": {
            name: {"value": found[name], "interval": found["intervals"][name]} for name in METRICS
        },
        "corruptions": {
            name: _losses(clean, predictions, output) for name, predictions in corrupted.items()
        },
    }


def _losses(clean: Predictions, corrupted: Predictions, output: str) -> dict:
    found = grade_metrics(corrupted.grades, corrupted.of(output))
    differences = paired_differences(corrupted, output, clean, output)["metrics"]
    return {name: {"value": found[name], **(differences[name] or NO_DIFFERENCE)}
            for name in METRICS}  # fmt: skip


def robustness_heading(results: dict) -> str:
    """The model, the knees and the decision rule of the results."""
    return (f"{results['model']} on {results['knees']} {results['split']} knees of "
            f"{results['persons']} persons ({results['data']}), graded by the rule "
            f"{results['rule']}; 95% intervals over persons")


def robustness_text(results: dict) -> str:
    """The results as a text table: one line a corruption."""
    titles = [cell for title in METRICS.values() for cell in (title, "difference")]
    lines = {"": titles, "clean": []}
    for name in METRICS:
        lines["clean"] += [with_interval(**results["clean"][name]), ""]
    for corruption, found in results["corruptions"].items():
        lines[corruption] = []
        for name in METRICS:
            lost = found[name]
            lines[corruption] += [
                with_interval(lost["value"], None),
                difference_text(lost),
            ]
    return aligned(lines)
