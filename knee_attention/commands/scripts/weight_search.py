"""The command line of `experiments/run_weight_search.py`."""

import argparse
import runpy
from dataclasses import replace
from pathlib import Path

from knee_attention.commands.scripts.experiment import (
    add_options,
    check_images,
    run_options_of,
    with_options,
)
from knee_attention.commands.scripts.sweeps import (
    add_queue_options,
    refuse_beside_from,
    run_cells,
    take_queue_options,
)
from knee_attention.errors import InputError
from knee_attention.limits import digits
from knee_attention.runs.sweeps.cells import with_initial_weights
from knee_attention.runs.sweeps.weight_search import (
    GRID,
    cells_of,
    published_search,
    write_search,
)
from knee_attention.startup import command_line


def main(scripts: list[Path], arguments: list[str] | None = None) -> None:
    """Run the search for the loss weights, or print the text about published runs.

    Args:
        scripts: the scripts of the multi-loss experiments, each with its `EXPERIMENT`.
        arguments: the command line without the program name; None: that of the process.
    """
    experiments = {
        experiment.backbone: experiment
        for experiment in (runpy.run_path(str(script))["EXPERIMENT"] for script in scripts)
    }
    parser = _parser(list(experiments))
    options = vars(parser.parse_args(arguments))
    published = options.pop("published")
    if published:
        with command_line("run_weight_search.py"):
            refuse_beside_from(parser, options)
            _print_published(published)
        return
    asked = take_queue_options(options)
    output, seeds, grid, repeated, backbone = (
        options.pop(name) for name in ("output", "seeds", "grid", "repeat", "backbone")
    )
    with command_line("run_weight_search.py", resumable=True):
        run_options = run_options_of(options)
        grid = _grid(grid)
        repeated = _repeated(repeated, grid, seeds)
        experiment = with_options(experiments[backbone], options)
        output = output or Path("runs") / f"weight_search_{backbone}"
        cells = with_initial_weights(cells_of(experiment, grid, seeds, repeated))
        if not asked.status:
            check_images(experiment, options, (output / cell for cell in cells))
        # Each cell has its own weights, so those of the experiment do not matter.
        identity = replace(experiment, loss_weights=(1.0, 1.0), seed=0).as_json()
        identity["data"] = experiment.origin  # the path may differ between machines
        identity["command"] = "run_weight_search.py"

        def write(failed: dict[str, str]) -> None:
            write_search(cells, failed, output, run_options.pdf)

        run_cells(cells, output, asked, identity, write, "weight_search", run_options)


def _parser(backbones: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train a multi-loss experiment with every pair of loss weights of a grid, and "
        "compare the results (paper, section 3.3). Without --data: synthetic phantoms and small "
        "images.",
    )
    parser.add_argument("--backbone", choices=backbones, default="antony_clsf",
                        help="(default: antony_clsf, the cheapest)")
    parser.add_argument("--grid", nargs="+", type=float, default=GRID, metavar="W",
                        help="the weights for each loss (default: 0.5 to 1.0 in steps of "
                        "0.1)")
    parser.add_argument("--repeat", nargs=2, type=float, action="append", default=[],
                        metavar=("W0", "W1"),
                        help="train this pair of weights --seeds times and all other pairs once; "
                        "may be given several times")
    add_options(parser, "runs/weight_search_<backbone>", None)
    add_queue_options(parser)
    return parser


def _print_published(folder: Path) -> None:
    from knee_attention.runs.finished.published_runs import read_runs

    text = published_search(read_runs(folder))
    if text is None:
        raise InputError(f"{folder}: no published weight search")
    print(text, end="")


def _grid(weights: list[float]) -> list[float]:
    grid = sorted(set(weights))
    if len(grid) < 2:
        raise InputError("--grid needs two different weights at least")
    if not all(0 < weight <= 1 for weight in grid):
        raise InputError("--grid: a loss weight is above 0 and at most 1")
    return grid


def _repeated(pairs: list[list[float]], grid: list[float], seeds: int) -> list[tuple[float, float]]:
    for pair in pairs:
        if not set(pair) <= set(grid):
            raise InputError(f"--repeat {' '.join(map(digits, pair))}: no cell of the grid "
                             f"{', '.join(map(digits, grid))}")
    if pairs and seeds == 1:
        raise InputError("--repeat needs --seeds, the number of trainings; give that too")
    return [tuple(pair) for pair in pairs]
