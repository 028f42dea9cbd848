"""Tables of experiments with the results of our runs on one data set."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.sweeps.cells import Cells, finished_of, without_seed

if TYPE_CHECKING:  # imports pandas, which is slow
    from knee_attention.evidence.finished_run import FinishedRun

SHARED_OPTIONS = ("data", "image_size", "epochs", "batch_size", "learning_rate", "patience",
                  "weights", "batch_norm", "augment", "schedule", "targets", "attention",
                  "polarity", "crop", "displace", "stability", "flips", "limit")  # fmt: skip
"""Options that are the same for all runs of one table."""


def shared_options(experiment: Experiment, own: set[str]) -> dict:
    """The shared options of a table as JSON values. `data` is the name of the data, because paths
    differ between machines.

    Args:
        experiment: any run of the table.
        own: options that may differ between the runs of this table.
    """
    held = experiment.as_json() | {"data": experiment.origin}
    return {name: held[name] for name in SHARED_OPTIONS if name not in own}


def own_options(
    experiments: Iterable[Experiment], on_phantoms: bool, given: Iterable[str] = ()
) -> set[str]:
    """The options that may differ between the runs of a table.

    Args:
        experiments: the experiments of the table. If one takes a single image size, sizes differ.
        on_phantoms: whether the runs draw phantoms, for which every network has its own setting.
        given: options of the command line, which are the same for all networks.
    """
    own = set()
    if on_phantoms:
        own.update(*(experiment.phantom_setting for experiment in experiments))
    own -= set(given)
    if any(experiment.fixed_size for experiment in experiments):
        own.add("image_size")
    return own


def rules_of(name: str):
    """The module with the rows, the claims and the columns of a table.

    Args:
        name: the name of a table: `table1`, `table2` or `related`.
    """
    from knee_attention.evidence.tables import related, table1, table2

    return {"table1": table1, "table2": table2, "related": related}[name]


def write_table(
    name: str,
    cells: Cells,
    failed: dict[str, str],
    output: Path,
    published: "dict[str, list[FinishedRun]] | None" = None,
) -> None:
    """Write `<name>.csv`, `.md` and `.html` of the finished runs; `.md` has few columns.

    Args:
        name: the name of the table.
        cells: all runs of the table.
        failed: `{cell: reason}`; finished runs that cannot be read are added.
        output: the folder.
        published: published runs by experiment. Runs on the same knees with the same options are
            compared with the band of these.
    """
    from knee_attention.evidence.tables.bands import with_bands
    from knee_attention.evidence.tables.common import as_html, as_markdown, few_columns
    from knee_attention.files import written_whole

    rules = rules_of(name)
    finished = {}
    for cell, training in finished_of(cells, failed, output).items():
        key = (cells[cell].backbone, cells[cell].variant)
        finished.setdefault(key, []).append(training)
    table = rules.rows(finished)
    if published and finished:
        table = with_bands(table, finished, published)
    waiting = {experiment.name for cell, experiment in cells.items() if cell not in failed}
    heading = _heading(rules.SOURCE, finished)
    notes = [
        *rules.claims(finished),
        *(f"failed: {cell}: {reason}" for cell, reason in failed.items()),
        *_missing(waiting, finished),
    ]
    shown = rules.as_text(table)
    files = {
        "csv": table.to_csv(index=False),
        "md": as_markdown(heading, few_columns(shown), notes),
        "html": as_html(rules.TITLE, heading, shown, notes),
    }
    for suffix, text in files.items():
        with written_whole(output / f"{name}.{suffix}") as beside:
            # The name of a data folder may hold bytes that are not UTF-8.
            beside.write_text(text, encoding="utf-8", errors="replace")


def published_table(
    name: str, runs: "dict[str, FinishedRun]", experiments: list[Experiment], few: bool = False
) -> str | None:
    """A table of published runs, in Markdown.

    The table shows the runs `<experiment>` and `<experiment>-seed<N>` of its experiments. Its
    last note counts the other runs.

    Args:
        name: the name of the table.
        runs: `{name: run}`, as `read_runs` returns them.
        experiments: the experiments of the table.
        few: leave out the columns that do not fit on a screen.

    Returns:
        the table; None if there is no run of it.

    Raises:
        InputError: a run has other options than the rest, or another name than its experiment.
    """
    from knee_attention.evidence.tables.common import as_markdown, few_columns
    from knee_attention.runs.finished.published_runs import refuse_different

    known = {experiment.name: experiment for experiment in experiments}
    finished, others, options = {}, [], {}
    for run, training in runs.items():
        experiment = known.get(without_seed(run))
        if experiment is None:
            others.append(run)
            continue
        finished.setdefault((experiment.backbone, experiment.variant), []).append(training)
        if training.experiment["name"] != experiment.name:
            raise InputError(f"{run}: holds a run of {training.experiment['name']}, not of "
                             f"{experiment.name}")
        own = own_options(experiments, training.synthetic)
        held = training.recipe
        options[run] = {name: held[name] for name in SHARED_OPTIONS if name not in own}
    if not finished:
        return None
    refuse_different(options)
    rules = rules_of(name)
    notes = [*rules.claims(finished), *_missing(known, finished)]
    if others:
        notes.append(f"published runs that are not in this table: {len(others)}")
    heading = _heading(rules.SOURCE, finished)
    text = rules.as_text(rules.rows(finished))
    return as_markdown(heading, few_columns(text) if few else text, notes)


def _heading(source: str, finished: dict) -> str:
    if not finished:
        return "No run is finished yet."
    first = next(iter(finished.values()))[0]
    return (f"{first.results['knees']} {first.split} knees ({first.origin}). In brackets: 95% "
            "intervals over persons; those of differences also cover the variation over trainings. "
            f"{source}")


def _missing(wanted: Iterable[str], finished: dict) -> list[str]:
    done = {t.results["name"] for trainings in finished.values() for t in trainings}
    waiting = sorted(set(wanted) - done)
    return [f"not run yet: {', '.join(waiting)}"] if waiting else []
