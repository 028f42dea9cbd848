"""Heat maps of metrics over a grid of two loss weights."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from knee_attention.evidence.figures.curves import save, set_title
from knee_attention.limits import digits

COLUMNS = 3


def heat_maps(
    grids: dict[str, pd.DataFrame],
    marked: tuple[float, float],
    title: str,
    path: Path,
    pdf: bool = False,
) -> None:
    """Plot a heat map of each metric. Yellow is best.

    Args:
        grids: `{metric: values}`; rows are `w1` from the highest, columns are `w0`. Missing values
            are NaN. For metrics whose name ends in `loss`, lower is better.
        marked: `w0` and `w1` of the paper, drawn with a dashed frame. The best cells have a solid
            frame.
        title: title of the figure: experiment, data and split.
        path: the PNG file.
        pdf: also write a PDF next to the PNG.
    """
    columns = min(COLUMNS, len(grids))
    rows = -(-len(grids) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.9 * rows + 0.4), layout="constrained")
    w0, w1 = marked
    set_title(figure, f"{title}\nsolid frame: best; dashed: the paper's w0 {w0:g}, w1 {w1:g}")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes, (measure, grid) in zip(panels, grids.items(), strict=False):
        _heat_map(axes, measure, grid, marked)
    for axes in panels[len(grids) :]:
        axes.set_visible(False)
    save(figure, path, pdf)


def _heat_map(
    axes: Axes, measure: str, grid: pd.DataFrame, marked: tuple[float, float]
) -> None:
    values = grid.to_numpy()
    good = -values if measure.endswith("loss") else values
    axes.imshow(good, cmap="viridis", aspect="auto")
    middle = (np.nanmin(good) + np.nanmax(good)) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if good[row, column] > middle else "white"
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour,
                      fontsize=8)
    axes.set(title=measure, xlabel="w0", ylabel="w1",
             xticks=range(grid.shape[1]), xticklabels=map(digits, grid.columns),
             yticks=range(grid.shape[0]), yticklabels=map(digits, grid.index))
    for row, column in np.argwhere(good == np.nanmax(good)):
        _frame(axes, row, column, "-")
    w0, w1 = marked
    if w0 in grid.columns and w1 in grid.index:
        _frame(axes, grid.index.get_loc(w1), grid.columns.get_loc(w0), "--")


def _frame(axes: Axes, row: int, column: int, style: str) -> None:
    axes.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, color="red", linewidth=2,
                  linestyle=style)
    )
