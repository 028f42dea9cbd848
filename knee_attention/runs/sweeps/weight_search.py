"""The search for the weights of a multi-loss (paper, section 3.3): its cells and its results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from knee_attention.files import written_whole
from knee_attention.limits import digits
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.sweeps.cells import Cells, finished_of

GRID = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The weights that the paper tried for each loss."""


def cells_of(
    experiment: Experiment,
    grid: list[float],
    seeds: int,
    repeated: Sequence[tuple[float, float]] = (),
) -> Cells:
    """A cell for every pair of weights and every seed, in the order of their names.

    Args:
        experiment: one of two branches with a loss each.
        grid: the weights that each loss takes.
        seeds: trainings of each pair, from the experiment's seed on.
        repeated: if there are any, of these pairs alone; of all others one.
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
    """Write `weight_search.csv`, its heat maps, and in words what they say.

    Args:
        cells: all of them.
        failed: `{cell: reason}`; finished runs that cannot be read are added.
        output: the folder of the runs.
        pdf: also write the figure as PDF.
    """
    from knee_attention.evidence.figures.heat_maps import heat_maps
    from knee_attention.evidence.tables import weight_search

    found = {}
    for cell, training in finished_of(cells, failed, output).items():
        found.setdefault(cells[cell].loss_weights, []).append(training)
    table = weight_search.weight_table(found)
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
