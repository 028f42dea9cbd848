"""The command line of `experiments/run_table1.py` and `run_table2.py`."""

import argparse
import runpy
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number
from knee_attention.commands.scripts.experiment import add_options, run_options_of, with_options
from knee_attention.commands.scripts.sweeps import (
    add_queue_options,
    refuse_failed,
    run_cells,
    take_queue_options,
)
from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.sweeps.cells import with_initial_weights
from knee_attention.runs.sweeps.tables import print_published, shared_options, write_paper_table
from knee_attention.startup import command_line


def main(number: int, scripts: list[Path], arguments: list[str] | None = None) -> None:
    """The command line of a table's script.

    Args:
        number: which of the paper's tables.
        scripts: the experiments' scripts, each with its `EXPERIMENT`.
        arguments: the command line without the program; by default the process's own.
    """
    experiments = [runpy.run_path(str(script))["EXPERIMENT"] for script in scripts]
    parser = _parser(number, experiments)
    options = vars(parser.parse_args(arguments))
    published = options.pop("published")
    if published:
        with command_line(f"run_table{number}.py"):
            _refuse_beside_from(parser, options)
            print_published(number, published, experiments)
        return
    asked = take_queue_options(options)
    output, seeds, only = (options.pop(name) for name in ("output", "seeds", "only"))
    output = output or Path(f"runs/table{number}")
    with command_line(f"run_table{number}.py"):
        run_options = run_options_of(options)
        first = options["seed"] or 0
        cells = {
            _folder_name(experiment, seed, first): with_options(
                experiment, {**options, "seed": seed}
            )
            for seed in range(first, first + seeds)
            for experiment in experiments
            if not only or experiment.name in only
        }
        # Of all the table's experiments, so that --only takes a part of the same queue.
        own = {
            name for experiment in experiments for name in experiment.phantom_setting
            if not options["data"] and options[name] is None
        }
        shared = shared_options(next(iter(cells.values())), own)
        identity = {"command": f"run_table{number}.py", **shared}
        cells = with_initial_weights(cells)

        def write(failed: dict[str, str]) -> None:
            write_paper_table(number, cells, failed, output)

        failed = run_cells(cells, output, asked, identity, write, run_options)
        if failed is None:
            return
        print((output / f"table{number}.md").read_text(encoding="utf-8"))
        print(f"table{number}.csv, .md and .html: {output}")
        refuse_failed(failed, cells, asked)


def _refuse_beside_from(parser: argparse.ArgumentParser, options: dict) -> None:
    for name, value in options.items():
        if value != parser.get_default(name):
            raise InputError("--from runs nothing and shows all that is published there; leave "
                             f"out --{name.replace('_', '-')}")


def _folder_name(experiment: Experiment, seed: int, first: int) -> str:
    """The first training of an experiment bears its name alone."""
    return experiment.name if seed == first else f"{experiment.name}-seed{seed}"


def _parser(number: int, experiments: list[Experiment]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f"Run all {len(experiments)} experiments of Table {number} on one data set and "
        "write the table. What is finished is taken as it is, what was killed continues, what "
        "fails is said and passed over. Without --data: synthetic phantoms, in a small setting.",
    )
    add_options(parser, f"runs/table{number}", None)
    parser.add_argument("--from", dest="published", type=as_path, metavar="DIR",
                        help="run nothing; print the table of the runs published in DIR")
    parser.add_argument("--seeds", type=positive_number, default=1, metavar="N",
                        help="trainings of each experiment, from --seed on (default: 1)")
    parser.add_argument("--only", nargs="+", metavar="NAME",
                        choices=[experiment.name for experiment in experiments],
                        help="some of the experiments, such as vgg16_multiloss")
    add_queue_options(parser)
    return parser
