"""Every plot. Figures are made without pyplot, so nothing here needs a screen or is global."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from knee_attention.errors import InputError
from knee_attention.evidence.attention_maps import at_image_size
from knee_attention.files import written_whole

# Okabe and Ito's colour-blind safe palette, in an order that also differs in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
OVERLAY = "inferno"


def _save(figure: Figure, path: Path) -> None:
    try:
        with written_whole(path) as beside:
            figure.savefig(beside, dpi=120)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def learning_curves(history: list[dict], outputs: list[str], title: str, path: Path) -> None:
    """Loss and accuracy of every output over the epochs, as in the paper's figures 4 to 8.

    Args:
        history: one dict an epoch, as `training.train` returns them.
        outputs: names of the model's outputs.
        title: run, data and whether they are synthetic.
        path: the PNG file.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in history]
    best = epochs[int(np.argmin([row["val_loss"] for row in history]))]
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for colour, output in zip(COLOURS, outputs, strict=False):
            for prefix, name, style in (("", "training", "--"), ("val_", "validation", "-")):
                values = [row[f"{prefix}{output}_{quantity}"] for row in history]
                axes.plot(epochs, values, style, color=colour, label=f"{output} {name}",
                          marker="o", markersize=3)
        axes.axvline(best, color="0.6", linewidth=1, zorder=0, label="best validation loss")
        axes.set(xlabel="epoch", ylabel=quantity)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, 1)
    axes.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _save(figure, path)


def mask_panels(
    images: np.ndarray,
    masks: dict[str, np.ndarray],
    grades: np.ndarray,
    probabilities: np.ndarray,
    title: str,
    path: Path,
) -> None:
    """A row a knee: the knee, each branch's mask over it, and its grade's probabilities.

    Args:
        images: `(n, height, width)` uint8.
        masks: `{branch: (n, height, width)}` in 0-1.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)` of the chosen output.
        title: run, data and whether they are synthetic.
        path: the PNG file.
    """
    count, height, width = images.shape
    columns = 2 + len(masks)
    panel = 2.1
    figure = Figure(
        figsize=(columns * panel, 0.6 + count * panel * height / width), layout="constrained"
    )
    figure.suptitle(title, fontsize="medium")
    rows = figure.subplots(count, columns, squeeze=False)
    for row, image, grade, probability in zip(rows, images, grades, probabilities, strict=True):
        position = int(np.flatnonzero(rows[:, 0] == row[0])[0])
        _picture(row[0], image)
        row[0].set_ylabel(f"KL {grade}", rotation=0, labelpad=18)
        for axes, branch_masks in zip(row[1:], masks.values(), strict=False):
            _picture(axes, image)
            mask = at_image_size(branch_masks[position], (height, width))
            axes.imshow(mask, cmap=OVERLAY, alpha=0.55, vmin=mask.min(), vmax=mask.max())
        colours = [COLOURS[0] if k == grade else "0.7" for k in range(5)]
        row[-1].bar(range(5), probability, color=colours)
        row[-1].set(ylim=(0, 1), xticks=range(5), yticks=[0, 1], box_aspect=height / width)
        row[-1].spines[["top", "right"]].set_visible(False)
    for axes, name in zip(rows[0], ["knee", *masks, "P(grade)"], strict=True):
        axes.set_title(name, fontsize="medium")
    rows[-1, -1].set_xlabel("KL grade (blue: true)")
    _save(figure, path)


def _picture(axes, image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def confusion_matrix(confusion: list[list[int]], title: str, path: Path) -> None:
    """Counts of true against predicted grades, shaded by the share of the true grade.

    Args:
        confusion: 5x5, rows: true grade.
        title: run, output, data and whether they are synthetic.
        path: the PNG file.
    """
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, count, ha="center", va="center", color=colour)
    axes.set(xlabel="predicted KL grade", ylabel="true KL grade")
    axes.set_title(title, fontsize="medium")
    _save(figure, path)


def grade_distribution(counts: dict[str, list[int]], path: Path) -> None:
    """How the knees of every split are distributed over the grades.

    Args:
        counts: split -> number of knees of each grade, from 0.
        path: the PNG file.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(counts)
    for index, (split, knees) in enumerate(counts.items()):
        places = np.arange(len(knees)) + (index - (len(counts) - 1) / 2) * width
        share = 100 * np.array(knees) / max(1, sum(knees))
        label = f"{split} ({sum(knees)} knees)"
        bars = axes.bar(places, share, width, label=label, color=COLOURS[index])
        axes.bar_label(bars, labels=[str(count) for count in knees], fontsize=7)
    axes.set(xticks=range(5), xlabel="Kellgren-Lawrence grade", ylabel="% of the split's knees")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)
