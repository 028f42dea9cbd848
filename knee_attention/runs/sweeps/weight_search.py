"""The search for the weights of a multi-loss (paper, section 3.3): its cells and its results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.files import written_whole
from knee_attention.limits import digits
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.sweeps.cells import Cells, finished_of

if TYPE_CHECKING:  # imports pandas, which is slow
    from knee_attention.evidence.finished_run import FinishedRun

GRID = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The paper's weights for each loss."""


def cells_of(
    experiment: Experiment,
    grid: list[float],
    seeds: int,
    repeated: Sequence[tuple[float, float]] = (),
) -> Cells:
    """A cell for every pair of weights and every seed, sorted by seed and weights.

    Args:
        experiment: an experiment with two losses.
        grid: the weights for each loss.
        seeds: the number of trainings of each pair; the first has the experiment's seed.
        repeated: the pairs with several trainings; all other pairs have one. Empty: all pairs.
    """
    cells = {}
    for seed in range(experiment.seed, experiment.seed + seeds):
        further = "" if seed == experiment.seed else f"-seed{seed}"
        for w0 in grid:
            for w1 in grid:
                if further and repeated and (w0, w1) not in repeated:
                    continue
                cells[f"w{digits(w0)}-{digits(w1)}{further}"] = replace(
                    experiment, loss_weights=(w0, w1), seed=seed
                )
    return cells


def write_search(cells: Cells, failed: dict[str, str], output: Path, pdf: bool = False) -> None:
    """Write `weight_search.csv`, its heat maps, and a text.

    Args:
        cells: all cells of the search.
        failed: `{cell: reason}`; finished runs that cannot be read are added.
        output: the folder of the runs.
        pdf: also write the figure as PDF.
    """
    from knee_attention.evidence.figures.heat_maps import heat_maps
    from knee_attention.evidence.tables import weight_search

    table = weight_search.weight_table(finished_of(cells, failed, output).values())
    first = next(iter(cells.values()))
    lines = [f"{first.name}, {first.origin}: {len(table)} of {len(cells)} trainings", ""]
    if len(table):
        title = f"{first.name}, {first.origin}, validation"
        heat_maps(
            {
                measure.replace("_", " "): weight_search.grid_of(table, measure)
                for measure in weight_search.measures(table)
            },
            weight_search.PAPER_CHOICE,
            title,
            output / "weight_search.png",
            pdf,
        )
        lines.append(weight_search.paragraph(table))
    lines += [f"- failed: {cell}: {reason}" for cell, reason in failed.items()]
    for suffix, text in (("csv", table.to_csv(index=False)), ("md", "\n".join(lines) + "\n")):
        with written_whole(output / f"weight_search.{suffix}") as beside:
            beside.write_text(text, encoding="utf-8", errors="replace")


def published_search(runs: "dict[str, FinishedRun]") -> str | None:
    """The text about a published search.

    Args:
        runs: `{name: run}`, as `read_runs` returns them.

    Returns:
        the text; None if the runs are not one experiment with several pairs of loss weights.
    """
    from knee_attention.evidence.tables import weight_search

    first = next(iter(runs.values()))
    names = {run.experiment["name"] for run in runs.values()}
    pairs = {tuple(run.experiment["loss_weights"]) for run in runs.values()}
    if len(names) > 1 or len(pairs) < 2 or len(first.experiment["loss_weights"]) != 2:
        return None
    table = weight_search.weight_table(runs.values())
    heading = f"{first.experiment['name']}, {first.origin}: {len(table)} trainings"
    return f"{heading}\n\n{weight_search.paragraph(table)}\n"
