"""Figures of knees: their attention masks, and their augmentations."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from knee_attention.evidence.figures.curves import COLOURS, entitle, save
from knee_attention.evidence.figures.pictures import OPACITY, at_image_size
from knee_attention.evidence.localisation import localisation
from knee_attention.kl import GRADES

HEAT = "inferno"
PANEL = 1.75
"""Width of one picture in inches."""


def mask_panels(
    images: np.ndarray,
    masks: dict[str, np.ndarray],
    grades: np.ndarray,
    probabilities: np.ndarray,
    title: str,
    path: Path,
    pdf: bool = False,
    joints: list[np.ndarray] | None = None,
) -> None:
    """Plot one row per knee: the knee, the masks and the probabilities (paper, figures 3 to 8).

    Each branch's mask is shown twice: at its own resolution, and as an overlay on the knee. Colours
    span the lowest to the highest value of the mask; both are printed above it. A known joint is
    outlined, and the ratio of the attention on and off the joint is printed too.

    Args:
        images: `(n, height, width)` uint8.
        masks: `{branch: (n, height, width)}` in 0-1.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)` of the chosen output.
        title: title of the figure: run, data, and whether they are synthetic.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
        joints: joint of each knee, `(height, width)` bool at any size; None if unknown.
    """
    count, height, width = images.shape
    names = ["knee", *(name for branch in masks for name in (branch, f"{branch} over knee"))]
    names.append("probability of grade")
    tall = PANEL * height / width + 0.2
    figure = Figure(figsize=(PANEL * len(names) + 0.5, count * tall + 1.0), layout="constrained")
    entitle(figure, title)
    rows = figure.subplots(count, len(names), squeeze=False)
    for position, row in enumerate(rows):
        image, grade = images[position], int(grades[position])
        joint = joints[position] if joints else None
        _picture(row[0], image, joint)
        row[0].set_ylabel(f"KL {grade}", rotation=0, labelpad=20, va="center")
        for index, branch in enumerate(masks):
            mask = masks[branch][position]
            alone, over = row[1 + 2 * index : 3 + 2 * index]
            alone.imshow(mask, cmap=HEAT, aspect="auto")
            alone.set(xticks=[], yticks=[], box_aspect=height / width)
            numbers = f"{mask.min():.2f} to {mask.max():.2f}"
            scores = joints and localisation([mask], [joint])
            if scores:
                numbers += f", on / off {scores['inside_over_outside']:.1f}"
            alone.set_title(numbers, fontsize=7, pad=2)
            _picture(over, image, joint)
            over.imshow(at_image_size(mask, (height, width)), cmap=HEAT, alpha=OPACITY)
        _probabilities(row[-1], grade, probabilities[position], height / width)
    for axes, name in zip(rows[0], names, strict=True):
        numbers = axes.get_title()
        axes.set_title(f"{name}\n{numbers}" if numbers else name, fontsize=8 if numbers else 9)
    rows[-1, -1].set_xlabel("KL grade (dark: true)", fontsize=8)
    save(figure, path, pdf)


def augmentation_panels(
    images: np.ndarray, views: np.ndarray, grades: np.ndarray, title: str, path: Path,
    pdf: bool = False,
) -> None:
    """Plot one row per knee: the knee, and its augmentation in several epochs.

    Args:
        images: `(n, height, width)` uint8.
        views: `(n, epochs, height, width)` uint8, the augmented knees.
        grades: `(n,)` true grades.
        title: title of the figure: run and data.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
    """
    count, epochs, height, width = views.shape
    shown = np.concatenate([images[:, np.newaxis], views], axis=1)
    gap = max(1, width // 20)
    cells = np.pad(shown, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=255)
    montage = np.block([list(row) for row in cells])  # the layout of many axes is slow
    inches = 0.7 * PANEL
    size = (inches * (epochs + 1) + 0.5, count * inches * height / width + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    entitle(figure, title)
    axes = figure.subplots()
    _picture(axes, montage)
    names = ["knee", *(f"epoch {number + 1}" for number in range(epochs))]
    axes.set_xticks(np.arange(epochs + 1) * (width + gap) + width / 2, names, fontsize=9)
    axes.set_yticks(np.arange(count) * (height + gap) + height / 2,
                    [f"KL {int(grade)}" for grade in grades])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    save(figure, path, pdf)


def _picture(axes: Axes, image: np.ndarray, joint: np.ndarray | None = None) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    if joint is not None and joint.any() and not joint.all():
        axes.contour(at_image_size(joint.astype(np.float32), image.shape), [0.5],
                     colors="white", linewidths=0.8)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _probabilities(axes: Axes, grade: int, values: np.ndarray, aspect: float) -> None:
    bars = axes.bar(GRADES, values, color=[COLOURS[0] if k == grade else "0.78" for k in GRADES])
    axes.bar_label(bars, [f"{value:.2f}".lstrip("0") for value in values], fontsize=7, padding=1)
    axes.set(ylim=(0, 1.1), xticks=GRADES, yticks=[], box_aspect=aspect)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
