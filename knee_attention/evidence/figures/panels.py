"""Figures of knees: their attention masks, and their augmentations."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from knee_attention.evidence.audit import localisation
from knee_attention.evidence.figures.curves import COLOURS, drawable, save, set_title
from knee_attention.evidence.figures.pictures import at_image_size, is_flat, overlay
from knee_attention.limits import GRADES

HEAT = "inferno"
PANEL = 1.75
"""Width of one picture in inches."""


def mask_panels(
    images: np.ndarray,
    masks: dict[str, np.ndarray],
    grades: np.ndarray,
    probabilities: np.ndarray,
    files: list[str],
    title: str,
    path: Path,
    pdf: bool = False,
    joints: list[np.ndarray] | None = None,
) -> None:
    """Plot one row per knee: the knee, the masks and the probabilities (paper, figures 3 to 8).

    Each branch's mask is shown twice: at its own resolution above its colour bar, and as an overlay
    on the knee, see `pictures.overlay`. Colours span the lowest to the highest value of the mask; a
    nearly flat mask says so. A known joint is outlined, and the ratio of the attention on and off
    the joint is printed.

    Args:
        images: `(n, height, width)` uint8.
        masks: `{branch: (n, height, width)}` in 0-1.
        grades: `(n,)` true grades.
        probabilities: `(n, 5)` of the chosen output.
        files: the knees' files, whose names stand above the knees.
        title: title of the figure: run, data, and whether they are synthetic.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
        joints: joint of each knee, `(height, width)` bool at any size; None if unknown.
    """
    count, height, width = images.shape
    columns = 2 + 2 * len(masks)
    tall = PANEL * height / width + 0.45
    figure = Figure(figsize=(PANEL * columns + 0.5, count * tall + 0.6), layout="constrained")
    set_title(figure, title)
    rows = figure.subplots(count, columns, squeeze=False)
    for position, row in enumerate(rows):
        image, grade = images[position], int(grades[position])
        joint = joints[position] if joints else None
        _picture(row[0], image, joint)
        _title(row[0], drawable(Path(files[position]).name))
        row[0].set_ylabel(f"KL {grade}", rotation=0, labelpad=20, va="center")
        for index, branch in enumerate(masks):
            mask = masks[branch][position]
            alone, over = row[1 + 2 * index : 3 + 2 * index]
            _mask(alone, mask, height / width)
            scores = joints and localisation([mask], [joint])
            ratio = f", on / off {scores['inside_over_outside']:.1f}" if scores else ""
            _title(alone, f"{branch}{' (nearly flat)' if is_flat(mask) else ''}{ratio}")
            _picture(over, overlay(image, mask)[..., ::-1], joint)
            _title(over, f"{branch} over knee")
        _probabilities(row[-1], grade, probabilities[position], height / width)
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
    set_title(figure, title)
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
        axes.contour(at_image_size(joint.astype(np.float32), image.shape[:2]), [0.5],
                     colors="white", linewidths=0.8)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=8, pad=3, parse_math=False)


def _mask(axes: Axes, mask: np.ndarray, aspect: float) -> None:
    """A mask at its own resolution, and below it a colour bar with its lowest and highest value."""
    shown = axes.imshow(mask, cmap=HEAT, aspect="auto")
    axes.set(xticks=[], yticks=[], box_aspect=aspect)
    ends = float(mask.min()), float(mask.max())
    bar = axes.inset_axes((0.2, -0.1, 0.6, 0.04))
    axes.figure.colorbar(shown, cax=bar, orientation="horizontal", ticks=[])
    for place, value, side in ((-0.05, ends[0], "right"), (1.05, ends[1], "left")):
        bar.text(place, 0.5, f"{value:.2f}", ha=side, va="center", fontsize=7,
                 transform=bar.transAxes)  # fmt: skip


def _probabilities(axes: Axes, grade: int, values: np.ndarray, aspect: float) -> None:
    bars = axes.bar(GRADES, values, color=[COLOURS[0] if k == grade else "0.78" for k in GRADES])
    axes.bar_label(bars, [f"{value:.2f}".lstrip("0") for value in values], fontsize=7, padding=1)
    axes.set(ylim=(0, 1.1), xticks=GRADES, yticks=[], box_aspect=aspect)
    _title(axes, "probability of grade (blue: true)")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
