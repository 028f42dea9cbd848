"""Plots of learning curves, confusion matrices, calibration and grade distributions.

They do not use pyplot, so they need no display and no global state.
"""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from knee_attention.evidence.metrics import CALIBRATION_BINS, expected_calibration_error
from knee_attention.files import written_whole
from knee_attention.limits import GRADES

# The colour-blind safe palette of Okabe and Ito, ordered so that neighbours also differ in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")
QUANTITIES = ("loss", "accuracy")
HATCHES = ("", "////", "....", "xx")


def learning_curves(
    history: list[dict], outputs: list[str], title: str, path: Path, pdf: bool = False
) -> None:
    """Plot loss and accuracy of every output over the epochs (paper, figures 4 to 8).

    Args:
        history: one dict per epoch, as `training.train` returns them.
        outputs: names of the model's outputs.
        title: title of the figure: run, data, and whether they are synthetic.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    set_title(figure, title)
    epochs = [row["epoch"] for row in history]
    best = min(history, key=lambda row: np.nan_to_num(row["val_loss"], nan=np.inf))["epoch"]
    panels = figure.subplots(1, 2)
    for axes, quantity in zip(panels, QUANTITIES, strict=True):
        _draw_curves(axes, history, outputs, quantity, markers=True)
        axes.axvline(best, color="0.4", linewidth=1, linestyle=":", zorder=0,
                     label=f"epoch {best}: lowest validation loss")
        axes.set(xlabel="epoch", ylabel=quantity, xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        style_axes(axes)
    panels[1].set_ylim(0, 1)
    lines = panels[1].get_legend_handles_labels()
    figure.legend(*lines, fontsize="small", frameon=False, loc="outside lower center",
                  ncols=len(outputs) + 1)  # one column per output
    save(figure, path, pdf)


def several_learning_curves(histories: dict[str, list[dict]], path: Path) -> None:
    """Plot loss and accuracy of several networks, one column each (paper, figures 4 to 8).

    Args:
        histories: `{title: history}`, with histories as `training.train` returns them.
        path: the PNG file.
    """
    figure = Figure(figsize=(2.9 * len(histories), 4.6), layout="constrained")
    panels = figure.subplots(2, len(histories), sharex=True, sharey="row", squeeze=False)
    for column, (title, history) in zip(panels.T, histories.items(), strict=True):
        column[0].set_title(title, fontsize=10)
        accuracies = [name for name in history[0] if name.endswith("_accuracy")]
        outputs = [name.removesuffix("_accuracy") for name in accuracies if name[:4] != "val_"]
        for axes, quantity in zip(column, QUANTITIES, strict=True):
            _draw_curves(axes, history, outputs, quantity)
            style_axes(axes)
        column[1].legend(fontsize=7, frameon=False)
        column[1].set_xlabel("epoch")
    panels[0, 0].set_ylabel("loss")
    panels[1, 0].set_ylabel("accuracy")
    save(figure, path)


def _draw_curves(
    axes: Axes, history: list[dict], outputs: list[str], quantity: str, markers: bool = False
) -> None:
    """Draw a quantity of every output over the epochs: training dashed, validation solid."""
    epochs = [row["epoch"] for row in history]
    for output, colour, marker in zip(outputs, COLOURS, MARKERS, strict=False):
        for prefix, name, style, face in (
            ("", "training", "--", "white"), ("val_", "validation", "-", colour)
        ):  # fmt: skip
            values = [row[f"{prefix}{output}_{quantity}"] for row in history]
            marked = {"marker": marker, "markersize": 4, "markerfacecolor": face,
                      "markevery": max(1, len(epochs) // 12)} if markers else {}  # fmt: skip
            axes.plot(epochs, values, style, color=colour, linewidth=1.4,
                      label=f"{output} {name}", **marked)  # fmt: skip


def confusion_matrix(
    confusion: list[list[int]], title: str, path: Path, pdf: bool = False
) -> None:
    """Plot a confusion matrix, shaded by the share of each true grade.

    Args:
        confusion: 5x5 counts, rows: true grade.
        title: title of the figure: run, output, data, and whether they are synthetic.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
    """
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.8, 4.9), layout="constrained")
    set_title(figure, title)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center",
                  color=colour, fontsize=9, linespacing=1.3)
    axes.set(xlabel="predicted KL grade", ylabel="true KL grade", xticks=GRADES, yticks=GRADES)
    axes.spines[:].set_visible(False)
    save(figure, path, pdf)


def reliability_diagram(
    grades: np.ndarray, probabilities: np.ndarray, title: str, path: Path, pdf: bool = False
) -> None:
    """Plot accuracy against confidence in ten bins of the highest probability.

    Args:
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`.
        title: title of the figure: run, output, data, and whether they are synthetic.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == grades
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = counts > 0
    accuracy, stated = (
        np.bincount(bins, values, CALIBRATION_BINS)[filled] / counts[filled]
        for values in (right, confidence)
    )
    figure = Figure(figsize=(4.8, 4.9), layout="constrained")
    set_title(figure, title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "--", color="0.5", linewidth=1, label="perfect calibration")
    above.bar(edges[:-1][filled], accuracy, 1 / CALIBRATION_BINS, align="edge",
              color="#9CC9E5", edgecolor="white", label="accuracy of the bin")
    above.plot(stated, accuracy, "D", color=COLOURS[1], markersize=4.5, clip_on=False,
               label="at the bin's mean probability")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    error = expected_calibration_error(grades, probabilities)
    above.set_title(f"expected calibration error {error:.3f}", fontsize=9)
    bars = below.bar(edges[:-1], counts, 1 / CALIBRATION_BINS, align="edge", color="0.75",
                     edgecolor="white")
    below.bar_label(bars, [count or "" for count in counts], fontsize=8, padding=1)
    below.set(xlabel="highest probability of a knee", ylabel="knees", ylim=(0, 1.3 * max(counts)))
    below.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    for axes in (above, below):
        style_axes(axes)
    figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=2)
    save(figure, path, pdf)


def grade_distribution(counts: dict[str, list[int]], path: Path) -> None:
    """Plot the distribution of grades in every split.

    Args:
        counts: `{split: number of knees of each grade, from 0}`.
        path: the PNG file.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.84 / len(counts)
    for index, (split, knees) in enumerate(counts.items()):
        places = np.arange(len(knees)) + (index - (len(counts) - 1) / 2) * width
        share = 100 * np.array(knees) / max(1, sum(knees))
        bars = axes.bar(places, share, width, label=f"{split} ({sum(knees)} knees)",
                        color=COLOURS[index], hatch=HATCHES[index], edgecolor="white")
        axes.bar_label(bars, labels=[str(count) for count in knees], fontsize=7)
    axes.set(xticks=GRADES, xlabel="Kellgren-Lawrence grade", ylabel="% of the split's knees")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def style_axes(axes: Axes, labelsize: float | None = None) -> None:
    """Draw a light grid behind the data, without a frame at the top and at the right."""
    if labelsize:
        axes.tick_params(labelsize=labelsize)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def set_title(figure: Figure, title: str) -> None:
    """Set the title of a figure, wrapped to its width."""
    letters = int(figure.get_figwidth() * 12)
    lines = [part for line in drawable(title).splitlines() for part in textwrap.wrap(line, letters)]
    figure.suptitle("\n".join(lines), fontsize=10, parse_math=False)


def drawable(text: str) -> str:
    """A text for Matplotlib, which refuses names of files that are not valid UTF-8."""
    return text.encode("utf-8", "replace").decode()


def save(figure: Figure, path: Path, pdf: bool = False) -> None:
    """Write a figure as PNG and optionally as PDF. Files appear whole or not at all."""
    path = Path(path)
    targets = [path, path.with_suffix(".pdf")] if pdf else [path]
    for target in targets:
        with written_whole(target) as beside:
            figure.savefig(beside, dpi=120)
