"""The figures of what is measured on a saved model: an audit of its attention, and robustness."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from knee_attention.evidence.figures.curves import COLOURS, MARKERS, save, set_title, style_axes
from knee_attention.evidence.result_lines import WHERE_COLUMNS, audit_heading, with_interval
from knee_attention.evidence.robustness import robustness_heading

LEGEND = {"fontsize": 7.5, "frameon": False, "loc": "upper center", "ncols": 3}


def audit_figure(results: dict, mean_masks: dict[str, np.ndarray], path: Path) -> None:
    """Plot an audit, a row a branch: the mean mask, where it looks, image, and whether it matters.

    Args:
        results: the content of `audit.json`.
        mean_masks: `{branch: (h, w)}`; a branch without a mask is missing.
        path: the PNG file.
    """
    branches, knees = results["branches"], results["knees"]
    figure = Figure(figsize=(12.5, 2.9 * len(branches) + 0.5), layout="constrained")
    set_title(figure, audit_heading(results))
    rows = figure.subplots(len(branches), 4, squeeze=False, width_ratios=(1, 1.6, 1.5, 1.4))
    for row, (branch, found) in zip(rows, branches.items(), strict=True):
        row[0].set_title(f"{branch}: mean mask", fontsize=9)
        row[1].set_title(f"where it looks ({knees['where']} knees)", fontsize=9)
        row[2].set_title(f"correlation after shuffling weights\n"
                         f"({knees['shuffled']} knees, {results['shufflings']} shufflings)",
                         fontsize=9)  # fmt: skip
        row[3].set_title(f"whether it matters ({knees['matters']} knees)", fontsize=9)
        if branch in mean_masks:
            _mean_mask(row[0], mean_masks[branch])
            _shuffled(row[2], found["image"])
        else:
            _nothing(row[0], "no mask")
            _nothing(row[2], "no mask")
        if found["where"]:
            for series, measure in enumerate(("highest", "average_precision")):
                _points(row[1], found["where"], measure, WHERE_COLUMNS[measure], series)
        else:
            _nothing(row[1], "joints are not known")
        _points(row[3], found["matters"], "accuracy", "accuracy", 0)
    save(figure, path)


def robustness_figure(results: dict, path: Path) -> None:
    """Plot what each corruption changes of quadratic kappa, with its interval.

    Args:
        results: the content of `robustness.json`.
        path: the PNG file.
    """
    rows = {name: found["kappa_quadratic"] for name, found in results["corruptions"].items()}
    figure = Figure(figsize=(8, 0.34 * len(rows) + 1.2), layout="constrained")
    set_title(figure, robustness_heading(results))
    axes = figure.subplots()
    values, reach = _values_and_reach([
        {"value": row["difference"], "interval": row["interval"]} for row in rows.values()
    ])  # fmt: skip
    places = np.arange(len(rows))
    axes.errorbar(values, places, xerr=reach, fmt=MARKERS[0], color=COLOURS[0], markersize=4.5,
                  capsize=2, linewidth=1.2)  # fmt: skip
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(places, rows)
    axes.set(ylim=(len(rows) - 0.5, -0.5),
             xlabel="quadratic kappa, difference to clean knees "
                    f"({with_interval(results['clean']['kappa_quadratic']['value'], None)})")
    style_axes(axes, labelsize=8)
    save(figure, path)


def _nothing(axes: Axes, reason: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, ha="center", transform=axes.transAxes)


def _mean_mask(axes: Axes, mask: np.ndarray) -> None:
    shown = axes.imshow(mask, cmap="inferno", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.figure.colorbar(shown, ax=axes, shrink=0.7)


def _points(axes: Axes, rows: dict, measure: str, label: str, series: int) -> None:
    """A point with its interval for each row; the second series lies below the first."""
    places = np.arange(len(rows)) + 0.3 * series
    values, reach = _values_and_reach([row[measure] for row in rows.values()])
    axes.errorbar(values, places, xerr=reach, fmt=MARKERS[series], color=COLOURS[series],
                  markersize=4.5, capsize=2, linewidth=1.2, label=label, clip_on=False)  # fmt: skip
    for value, right, place in zip(values, values + reach[1], places, strict=True):
        axes.annotate(f"{value:.2f}", (right, place), (4, -2.5), textcoords="offset points",
                      fontsize=7, color=COLOURS[series])  # fmt: skip
    axes.set_yticks(np.arange(len(rows)), rows, fontsize=8)
    axes.set(xlim=(0, 1.02), ylim=(len(rows) - 0.3, -0.6))
    axes.legend(**LEGEND, bbox_to_anchor=(0.4, -0.08))
    style_axes(axes, labelsize=8)


def _shuffled(axes: Axes, image: dict) -> None:
    names = [name or "(none)" for name in image["down_to"]]
    places = np.arange(len(names))
    for series, (kind, words) in enumerate((("kept", "as trained"), ("shuffled", "shuffled"))):
        values, reach = _values_and_reach(image[f"attention_layers_{kind}"])
        axes.errorbar(places, values, yerr=reach, marker=MARKERS[series], color=COLOURS[series],
                      markersize=4.5, capsize=2, linewidth=1.4, clip_on=False,
                      label=f"attention layers {words}")  # fmt: skip
        axes.annotate(f"{values[-1]:.2f}", (places[-1], values[-1]), (0, 6),
                      textcoords="offset points", fontsize=7, ha="center",
                      color=COLOURS[series])  # fmt: skip
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(ylim=(min(-0.2, axes.get_ylim()[0]), 1.05))
    axes.set_xticks(places, names, rotation=18, ha="right", fontsize=7.5)
    axes.set_xlabel("backbone shuffled down to", fontsize=8)
    axes.legend(**LEGEND, bbox_to_anchor=(0.5, -0.3))
    style_axes(axes, labelsize=8)


def _values_and_reach(found: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """The values of estimates, `(n,)`, and the lengths of their intervals, `(2, n)`."""
    values = np.array([one["value"] for one in found], float)
    bounds = [one["interval"] or (one["value"], one["value"]) for one in found]
    return values, np.abs(np.array(bounds, float).T - values)
