"""All twenty experiments on one data set, and the paper's Table 1 with ours beside it."""

import argparse
import dataclasses
import gc
import runpy
import time
from pathlib import Path

from knee_attention.errors import InputError, command_line
from knee_attention.experiment import (
    PHANTOM_SETTINGS,
    Experiment,
    add_options,
    positive_number,
    with_options,
)
from knee_attention.quiet import start_keras
from knee_attention.run_folder import refuse_overlap


def main(scripts: list[Path], arguments: list[str] | None = None) -> None:
    """The command line of `experiments/run_table1.py`.

    Args:
        scripts: the experiments' scripts, each with its `EXPERIMENT`.
        arguments: the command line without the program; by default the process's own.
    """
    experiments = [runpy.run_path(str(script))["EXPERIMENT"] for script in scripts]
    options = vars(_parser(experiments).parse_args(arguments))
    output, overwrite, pdf, seeds, only = (
        options.pop(name) for name in ("output", "overwrite", "pdf", "seeds", "only")
    )
    output = output or Path("runs/table1")
    first = options["seed"] or 0
    jobs = [
        Job(with_options(experiment, {**options, "seed": first + number},
                         PHANTOM_SETTINGS[experiment.backbone]),
            output / (experiment.name + f"-seed{first + number}" * (number > 0)))
        for number in range(seeds)
        for experiment in experiments
        if not only or experiment.name in only
    ]  # fmt: skip
    with command_line("run_table1.py"):
        _refuse_file(output)
        refuse_overlap(jobs[0].experiment, output, overwrite)
        start_keras()
        failed = run_jobs(jobs, output, overwrite, pdf)
        print((output / "table1.md").read_text(encoding="utf-8"))
        print(f"table1.csv, .md and .html: {output}")
        if failed:
            raise InputError(f"{len(failed)} of {len(jobs)} runs failed; the same command tries "
                             "them again")


def _parser(experiments: list[Experiment]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Run all twenty experiments of Table 1 on one data set and write the table. "
        "What is finished is taken as it is, what was killed continues, what fails is said and "
        "passed over. Without --data: synthetic phantoms, in a small setting.",
    )
    add_options(parser, "runs/table1", None)
    parser.add_argument("--seeds", type=positive_number, default=1, metavar="N",
                        help="trainings of each experiment, from --seed on (default: 1)")
    parser.add_argument("--only", nargs="+", metavar="NAME",
                        choices=[experiment.name for experiment in experiments],
                        help="some of the experiments, such as vgg16_multiloss")
    return parser


@dataclasses.dataclass(frozen=True)
class Job:
    """An experiment and the folder of its run."""

    experiment: Experiment
    folder: Path


def run_jobs(jobs: list[Job], output: Path, overwrite: bool, pdf: bool) -> dict[Path, str]:
    """Run what is not finished yet; after each run the table is written anew.

    Returns:
        `{folder: reason}` of the runs that failed.
    """
    import keras

    from knee_attention.runner import run

    failed, began = {}, time.monotonic()
    for number, job in enumerate(jobs):
        minutes = (time.monotonic() - began) / 60
        print(f"\n[{number + 1}/{len(jobs)}] {job.folder.name}, {minutes:.0f} min so far")
        try:
            run(job.experiment, job.folder, overwrite, pdf)
        except Exception as error:  # out of memory, a full disk: the others may still succeed
            failed[job.folder] = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"{job.folder.name} failed: {failed[job.folder]}")
        keras.backend.clear_session()
        gc.collect()
        write_table(jobs, failed, output)
    return failed


def write_table(jobs: list[Job], failed: dict[Path, str], output: Path) -> None:
    """Write `table1.csv`, `.md` and `.html` of the runs that are finished.

    Args:
        jobs: all of them.
        failed: `{folder: reason}`; finished runs that cannot be read are added.
        output: the folder.
    """
    from knee_attention.evidence import paper_table
    from knee_attention.files import written_whole

    finished = _finished(jobs, failed)
    table = paper_table.table_1(finished)
    heading = _heading(jobs, finished)
    notes = [*paper_table.claims(finished), *_missing(jobs, finished, failed)]
    shown = paper_table.as_text(table)
    files = {
        "csv": table.to_csv(index=False),
        "md": paper_table.as_markdown(heading, shown, notes),
        "html": paper_table.as_html(heading, shown, notes),
    }
    for suffix, text in files.items():
        with written_whole(output / f"table1.{suffix}") as beside:
            # The name of a data folder may be no text.
            beside.write_text(text, encoding="utf-8", errors="replace")


def _finished(jobs: list[Job], failed: dict[Path, str]) -> dict:
    """`{(backbone, variant): trainings}` of the runs whose folders hold these very experiments."""
    from knee_attention.evidence.paper_table import Training
    from knee_attention.evidence.predictions import read_predictions
    from knee_attention.files import read_json

    finished = {}
    for job in jobs:
        if not (job.folder / "results.json").exists():
            continue
        try:
            if read_json(job.folder / "experiment.json") != job.experiment.as_json():
                continue
            training = Training(
                read_json(job.folder / "results.json"),
                read_predictions(job.folder / "predictions.csv"),
                read_json(job.folder / "environment.json")["wall_seconds"] / 60,
            )
        except (InputError, OSError, KeyError) as error:
            failed[job.folder] = str(error)
            continue
        key = (job.experiment.backbone, job.experiment.variant)
        finished.setdefault(key, []).append(training)
    return finished


def _heading(jobs: list[Job], finished: dict) -> str:
    if not finished:
        return "No run is finished yet."
    results = next(iter(finished.values()))[0].results
    experiment = jobs[0].experiment
    origin = "synthetic phantoms" if experiment.data is None else Path(experiment.data).name
    return (f"{results['knees']} {results['split']} knees ({origin}); in brackets 95% intervals "
            "over persons; paper: Table 1, test accuracy on OAI and MOST films, other knees than "
            "these")


def _missing(jobs: list[Job], finished: dict, failed: dict[Path, str]) -> list[str]:
    notes = [f"failed: {folder.name}: {reason}" for folder, reason in failed.items()]
    done = {(t.results["name"]) for trainings in finished.values() for t in trainings}
    waiting = {job.experiment.name for job in jobs if job.folder not in failed} - done
    return notes + [f"not run yet: {', '.join(sorted(waiting))}"] * bool(waiting)


def _refuse_file(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: not a folder")
