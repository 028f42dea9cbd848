"""The figure of an audit of attention."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from knee_attention.evidence.figures.curves import COLOURS, MARKERS, entitle, save
from knee_attention.evidence.result_lines import WHERE_COLUMNS


def audit_figure(results: dict, mean_masks: dict[str, np.ndarray], path: Path) -> None:
    """Plot an audit: a row for each branch; mean mask, where, image, and matters as columns.

    Args:
        results: the content of `audit.json`.
        mean_masks: `{branch: (h, w)}`; a branch without a mask is missing.
        path: the PNG file.
    """
    branches = results["branches"]
    figure = Figure(figsize=(14, 3.3 * len(branches) + 0.7), layout="constrained")
    entitle(figure, f"{results['model']}: attention on {results['data']}, 95% intervals over "
            "persons")  # fmt: skip
    rows = figure.subplots(len(branches), 4, squeeze=False, width_ratios=(1, 1.5, 1.5, 1.5))
    for row, (branch, found) in zip(rows, branches.items(), strict=True):
        _mean_mask(row[0], branch, mean_masks.get(branch))
        _where(row[1], found["where"], results["knees"]["where"])
        _image(row[2], found["image"], results)
        _matters(row[3], found["matters"], results["knees"]["matters"])
    save(figure, path)


def _mean_mask(axes: Axes, branch: str, mask: np.ndarray | None) -> None:
    axes.set_title(f"{branch}: mean mask", fontsize=9)
    axes.set(xticks=[], yticks=[])
    if mask is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no mask", ha="center", transform=axes.transAxes)
        return
    shown = axes.imshow(mask, cmap="inferno", vmin=0, vmax=1)
    axes.figure.colorbar(shown, ax=axes, shrink=0.8)


def _where(axes: Axes, rows: dict, knees: int) -> None:
    axes.set_title(f"where it looks ({knees} knees)", fontsize=9)
    if not rows:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "joints are not known", ha="center", transform=axes.transAxes)
        return
    for place, measure in enumerate(("highest", "average_precision")):
        _points(axes, rows, measure, WHERE_COLUMNS[measure], place)
    axes.set(xlim=(0, 1))
    axes.legend(fontsize=7, frameon=False, loc="best")


def _matters(axes: Axes, rows: dict, knees: int) -> None:
    axes.set_title(f"whether it matters ({knees} knees)", fontsize=9)
    _points(axes, rows, "accuracy", "accuracy", 0)
    axes.set(xlim=(0, 1), xlabel="accuracy")


def _points(axes: Axes, rows: dict, measure: str, label: str, series: int) -> None:
    """A point with its interval for each row, the first row on top."""
    heights = np.arange(len(rows)) + 0.24 * series
    found = [row[measure] for row in rows.values()]
    values = np.array([one["value"] for one in found], float)
    bounds = np.array([one["interval"] or [one["value"]] * 2 for one in found], float)
    axes.errorbar(values, heights, xerr=np.abs(bounds.T - values), fmt=MARKERS[series],
                  color=COLOURS[series], markersize=4.5, capsize=2, linewidth=1.2, label=label,
                  clip_on=False)  # fmt: skip
    for value, height in zip(values, heights, strict=True):
        axes.annotate(f"{value:.2f}", (value, height), (0, 3), textcoords="offset points",
                      fontsize=6.5, ha="center")  # fmt: skip
    axes.set(yticks=np.arange(len(rows)), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticklabels(rows, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


def _image(axes: Axes, image: dict, results: dict) -> None:
    axes.set_title(f"correlation with the trained mask, weights shuffled\n"
                   f"({results['knees']['shuffled']} knees, {results['shufflings']} shufflings)",
                   fontsize=9)  # fmt: skip
    if not image:
        axes.set_axis_off()
        return
    names = [name or "none" for name in image["down_to"]]
    places = np.arange(len(names))
    for series, kind in enumerate(("kept", "shuffled")):
        found = image[f"attention_layers_{kind}"]
        values = np.array([one["value"] for one in found], float)
        bounds = np.array([one["interval"] or [one["value"]] * 2 for one in found], float)
        axes.errorbar(places, values, yerr=np.abs(bounds.T - values), marker=MARKERS[series],
                      color=COLOURS[series], markersize=4.5, capsize=2, linewidth=1.4,
                      label=f"attention layers {'as trained' if kind == 'kept' else 'shuffled'}",
                      clip_on=False)  # fmt: skip
    mean = image["correlation"]["with the mean mask"]["value"]
    if mean is not None:
        axes.axhline(mean, color="0.4", linestyle=":", linewidth=1, label="own with mean mask")
    axes.set(ylim=(-0.3, 1.05), xlabel="backbone shuffled down to")
    axes.set_xticks(places, names, rotation=20, ha="right", fontsize=7)
    axes.tick_params(axis="y", labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="best")
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
