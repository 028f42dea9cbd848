"""The command line of `experiments/run_table1.py`, `run_table2.py` and `run_related.py`."""

import argparse
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

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
from knee_attention.networks.backbones import BACKBONES
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.sweeps.cells import with_initial_weights
from knee_attention.runs.sweeps.tables import (
    own_options,
    published_table,
    shared_options,
    write_table,
)
from knee_attention.startup import command_line

if TYPE_CHECKING:  # imports pandas, which is slow
    from knee_attention.evidence.finished_run import FinishedRun

BANDS_OF = ("table1", "table2")
"""Tables with bands of published runs, which are in `results/kneekl224` beside the scripts. A run
with the same knees and options is marked if its accuracy lies outside the published band."""


def main(name: str, scripts: list[Path], arguments: list[str] | None = None) -> None:
    """Run the experiments of a table, or print the table of published runs.

    Args:
        name: the name of the table: `table1`, `table2` or `related`.
        scripts: the scripts of the experiments, each with its `EXPERIMENT`.
        arguments: the command line without the program name; None: that of the process.
    """
    experiments = [runpy.run_path(str(script))["EXPERIMENT"] for script in scripts]
    parser = _parser(name, experiments)
    options = vars(parser.parse_args(arguments))
    published = options.pop("published")
    if published:
        with command_line(f"run_{name}.py"):
            refuse_beside_from(parser, options)
            _print_published(name, published, experiments)
        return
    asked = take_queue_options(options)
    output, seeds, only = (options.pop(option) for option in ("output", "seeds", "only"))
    output = output or Path(f"runs/{name}")
    with command_line(f"run_{name}.py", resumable=True):
        run_options = run_options_of(options)
        first = options["seed"] or 0
        cells = {
            _folder_name(experiment, seed, first): with_options(
                experiment, {**options, "seed": seed} | _fixed(experiment)
            )
            for seed in range(first, first + seeds)
            for experiment in experiments
            if not only or experiment.name in only
        }
        # From all experiments of the table: commands with another --only share the queue.
        given = [option for option, value in options.items() if value is not None]
        own = own_options(experiments, not options["data"], given)
        shared = shared_options(next(iter(cells.values())), own)
        identity = {"command": f"run_{name}.py", **shared}
        cells = with_initial_weights(cells)
        if not asked.status:
            largest = max(cells.values(), key=_smallest_side)
            check_images(largest, options, (output / cell for cell in cells))

        published_runs = None
        if options["data"] and name in BANDS_OF and not (asked.worker or asked.status):
            published_runs = _published_runs(scripts[0].parent / "results" / "kneekl224")

        def write(failed: dict[str, str]) -> None:
            write_table(name, cells, failed, output, published_runs)

        run_cells(cells, output, asked, identity, write, name, run_options)


def _published_runs(folder: Path) -> "dict[str, list[FinishedRun]] | None":
    """The published runs of a folder by experiment; None without the folder, as when installed."""
    from knee_attention.runs.finished.published_runs import by_experiment, read_runs

    return by_experiment(read_runs(folder)) if folder.is_dir() else None


def _print_published(name: str, folder: Path, experiments: list[Experiment]) -> None:
    from knee_attention.runs.finished.published_runs import read_runs

    table = published_table(name, read_runs(folder), experiments, few=True)
    if table is None:
        raise InputError(f"{folder}: no published run of this table")
    print(f"{table}\nall columns: README.md, which findings.py --from {folder} --readme writes")


def _smallest_side(experiment: Experiment) -> int:
    """The smallest side that a network takes; 0 if it has a single image size of its own."""
    return 0 if experiment.fixed_size else BACKBONES[experiment.backbone].smallest


def _fixed(experiment: Experiment) -> dict:
    """The image size of a network that takes no other, whatever the command line says."""
    return {"image_size": experiment.fixed_size} if experiment.fixed_size else {}


def _folder_name(experiment: Experiment, seed: int, first: int) -> str:
    """The name of the experiment; further trainings also have their seed."""
    return experiment.name if seed == first else f"{experiment.name}-seed{seed}"


def _parser(name: str, experiments: list[Experiment]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f"Run {len(experiments)} experiments on one data set and "
        "write the table. Finished runs are kept, killed runs are resumed, failed runs are "
        "reported and skipped. Without --data: synthetic phantoms and small images.",
    )
    add_options(parser, f"runs/{name}", None)
    parser.add_argument("--only", nargs="+", metavar="NAME",
                        choices=[experiment.name for experiment in experiments],
                        help="run only these experiments, such as vgg16_multiloss; the table "
                        "then has only their rows")
    add_queue_options(parser)
    return parser
