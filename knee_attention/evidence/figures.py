"""Every plot. Figures are made without pyplot, so nothing here needs a screen or is global."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from knee_attention.evidence.metrics import CALIBRATION_BINS, expected_calibration_error
from knee_attention.evidence.pictures import OPACITY, at_image_size
from knee_attention.files import written_whole
from knee_attention.kl import GRADES

# Okabe and Ito's colour-blind safe palette, in an order that also differs in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")
HATCHES = ("", "////", "....", "xx")
HEAT = "inferno"
PANEL = 1.75
"""Width of one picture of the mask panels in inches."""


def learning_curves(
    history: list[dict], outputs: list[str], title: str, path: Path, pdf: bool = False
) -> None:
    """Loss and accuracy of every output over the epochs, as in the paper's figures 4 to 8.

    Args:
        history: one dict an epoch, as `training.train` returns them.
        outputs: names of the model's outputs.
        title: run, data and whether they are synthetic.
        path: the PNG file.
        pdf: also write it as PDF, beside the PNG.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    _entitle(figure, title)
    epochs = [row["epoch"] for row in history]
    best = min(history, key=lambda row: np.nan_to_num(row["val_loss"], nan=np.inf))["epoch"]
    panels = figure.subplots(1, 2)
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for output, colour, marker in zip(outputs, COLOURS, MARKERS, strict=False):
            for prefix, name, style, face in (
                ("", "training", "--", "white"), ("val_", "validation", "-", colour)
            ):  # fmt: skip
                values = [row[f"{prefix}{output}_{quantity}"] for row in history]
                axes.plot(epochs, values, style, color=colour, label=f"{output} {name}",
                          marker=marker, markersize=4, markerfacecolor=face, linewidth=1.4,
                          markevery=max(1, len(epochs) // 12))
        axes.axvline(best, color="0.4", linewidth=1, linestyle=":", zorder=0,
                     label=f"epoch {best}: lowest validation loss")
        axes.set(xlabel="epoch", ylabel=quantity, xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        _plain(axes)
    panels[1].set_ylim(0, 1)
    lines = panels[1].get_legend_handles_labels()
    figure.legend(*lines, fontsize="small", frameon=False, loc="outside lower center",
                  ncols=len(outputs) + 1)  # a column an output
    _save(figure, path, pdf)


def mask_panels(
    images: np.ndarray,
    masks: dict[str, np.ndarray],
    grades: np.ndarray,
    probabilities: np.ndarray,
    title: str,
    path: Path,
    pdf: bool = False,
) -> None:
    """A row a knee, as in the paper's figures 3 to 8: the knee, each branch's mask, alone at its
    own resolution and laid over the knee, and the probabilities of the grades.

    Every mask is coloured from its lowest to its highest value, which are written above it.

    Args:
        images: `(n, height, width)` uint8.
        masks: `{branch: (n, height, width)}` in 0-1.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)` of the chosen output.
        title: run, data and whether they are synthetic.
        path: the PNG file.
        pdf: also write it as PDF, beside the PNG.
    """
    count, height, width = images.shape
    names = ["knee", *(name for branch in masks for name in (branch, f"{branch} over knee"))]
    names.append("probability of grade")
    tall = PANEL * height / width + 0.2
    figure = Figure(figsize=(PANEL * len(names) + 0.5, count * tall + 1.0), layout="constrained")
    _entitle(figure, title)
    rows = figure.subplots(count, len(names), squeeze=False)
    for position, row in enumerate(rows):
        image, grade = images[position], int(grades[position])
        _picture(row[0], image)
        row[0].set_ylabel(f"KL {grade}", rotation=0, labelpad=20, va="center")
        for index, branch in enumerate(masks):
            mask = masks[branch][position]
            alone, over = row[1 + 2 * index : 3 + 2 * index]
            alone.imshow(mask, cmap=HEAT, aspect="auto")
            alone.set(xticks=[], yticks=[], box_aspect=height / width)
            alone.set_title(f"{mask.min():.2f} to {mask.max():.2f}", fontsize=7, pad=2)
            _picture(over, image)
            over.imshow(at_image_size(mask, (height, width)), cmap=HEAT, alpha=OPACITY)
        _probabilities(row[-1], grade, probabilities[position], height / width)
    for axes, name in zip(rows[0], names, strict=True):
        numbers = axes.get_title()
        axes.set_title(f"{name}\n{numbers}" if numbers else name, fontsize=8 if numbers else 9)
    rows[-1, -1].set_xlabel("KL grade (dark: true)", fontsize=8)
    _save(figure, path, pdf)


def augmentation_panels(
    images: np.ndarray, views: np.ndarray, grades: np.ndarray, title: str, path: Path,
    pdf: bool = False,
) -> None:
    """A row a knee: the knee, and beside it how different epochs of a training show it.

    Args:
        images: `(n, height, width)` uint8.
        views: `(n, epochs, height, width)` uint8, the same knees augmented.
        grades: `(n,)` true grades.
        title: run and data.
        path: the PNG file.
        pdf: also write it as PDF, beside the PNG.
    """
    count, epochs, height, width = views.shape
    shown = np.concatenate([images[:, np.newaxis], views], axis=1)
    gap = max(1, width // 20)
    cells = np.pad(shown, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=255)
    montage = np.block([list(row) for row in cells])  # one picture: axes take long to lay out
    inches = 0.7 * PANEL
    size = (inches * (epochs + 1) + 0.5, count * inches * height / width + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    _entitle(figure, title)
    axes = figure.subplots()
    _picture(axes, montage)
    names = ["knee", *(f"epoch {number + 1}" for number in range(epochs))]
    axes.set_xticks(np.arange(epochs + 1) * (width + gap) + width / 2, names, fontsize=9)
    axes.set_yticks(np.arange(count) * (height + gap) + height / 2,
                    [f"KL {int(grade)}" for grade in grades])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    _save(figure, path, pdf)


def confusion_matrix(
    confusion: list[list[int]], title: str, path: Path, pdf: bool = False
) -> None:
    """Counts of true against predicted grades, shaded by the share of the true grade.

    Args:
        confusion: 5x5, rows: true grade.
        title: run, output, data and whether they are synthetic.
        path: the PNG file.
        pdf: also write it as PDF, beside the PNG.
    """
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.8, 4.9), layout="constrained")
    _entitle(figure, title)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center",
                  color=colour, fontsize=9, linespacing=1.3)
    axes.set(xlabel="predicted KL grade", ylabel="true KL grade", xticks=GRADES, yticks=GRADES)
    axes.spines[:].set_visible(False)
    _save(figure, path, pdf)


def reliability_diagram(
    grades: np.ndarray, probabilities: np.ndarray, title: str, path: Path, pdf: bool = False
) -> None:
    """How often a model is right against how sure it is, in ten bins of its highest probability.

    Args:
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`.
        title: run, output, data and whether they are synthetic.
        path: the PNG file.
        pdf: also write it as PDF, beside the PNG.
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
    _entitle(figure, title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "--", color="0.5", linewidth=1, label="as right as it says")
    above.bar(edges[:-1][filled], accuracy, 1 / CALIBRATION_BINS, align="edge",
              color="#9CC9E5", edgecolor="white", label="right, share of the bin")
    above.plot(stated, accuracy, "D", color=COLOURS[1], markersize=4.5, clip_on=False,
               label="at the bin's mean probability")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of knees graded right")
    error = expected_calibration_error(grades, probabilities)
    above.set_title(f"expected calibration error {error:.3f}", fontsize=9)
    bars = below.bar(edges[:-1], counts, 1 / CALIBRATION_BINS, align="edge", color="0.75",
                     edgecolor="white")
    below.bar_label(bars, [count or "" for count in counts], fontsize=8, padding=1)
    below.set(xlabel="highest probability of a knee", ylabel="knees", ylim=(0, 1.3 * max(counts)))
    below.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    for axes in (above, below):
        _plain(axes)
    figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=2)
    _save(figure, path, pdf)


def grade_distribution(counts: dict[str, list[int]], path: Path) -> None:
    """How the knees of every split are distributed over the grades.

    Args:
        counts: split -> number of knees of each grade, from 0.
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
    _save(figure, path)


def _picture(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _probabilities(axes: Axes, grade: int, values: np.ndarray, aspect: float) -> None:
    bars = axes.bar(GRADES, values, color=[COLOURS[0] if k == grade else "0.78" for k in GRADES])
    axes.bar_label(bars, [f"{value:.2f}".lstrip("0") for value in values], fontsize=7, padding=1)
    axes.set(ylim=(0, 1.1), xticks=GRADES, yticks=[], box_aspect=aspect)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _plain(axes: Axes) -> None:
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _entitle(figure: Figure, title: str) -> None:
    """Give a figure its title, in as many lines as its width asks for."""
    letters = int(figure.get_figwidth() * 12)
    text = title.encode("utf-8", "replace").decode()  # a folder's name may be no text
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, letters)]
    figure.suptitle("\n".join(lines), fontsize=10, parse_math=False)


def _save(figure: Figure, path: Path, pdf: bool = False) -> None:
    path = Path(path)
    for target in (path, path.with_suffix(".pdf"))[: 1 + pdf]:
        with written_whole(target) as beside:
            figure.savefig(beside, dpi=120)
