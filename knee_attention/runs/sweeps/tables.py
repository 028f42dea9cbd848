"""The experiments of one of the paper's tables on one data set, and that table with ours."""

from collections.abc import Iterable
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.sweeps.cells import Cells, finished_of, without_seed

SHARED_OPTIONS = ("data", "image_size", "epochs", "batch_size", "learning_rate", "patience",
                  "weights", "batch_norm", "augment", "schedule", "polarity", "crop",
                  "limit")  # fmt: skip
"""Options in which all runs of one table agree."""


def shared_options(experiment: Experiment, own: set[str]) -> dict:
    """Those options of a run of a table, as JSON holds them; of the data only the name, as its
    place may differ between machines.

    Args:
        experiment: any run of the table.
        own: options in which its runs may differ, whichever of them are asked for.
    """
    held = experiment.as_json() | {"data": experiment.origin}
    return {name: held[name] for name in SHARED_OPTIONS if name not in own}


def _rules_of(number: int):
    """The module that knows the rows, the claims and the columns of one of the paper's tables."""
    from knee_attention.evidence.tables import table1, table2

    return {1: table1, 2: table2}[number]


def write_paper_table(number: int, cells: Cells, failed: dict[str, str], output: Path) -> None:
    """Write `table<number>.csv`, `.md` and `.html` of the runs that are finished.

    Args:
        number: which of the paper's tables.
        cells: all of its runs.
        failed: `{cell: reason}`; finished runs that cannot be read are added.
        output: the folder.
    """
    from knee_attention.evidence.tables.common import as_html, as_markdown
    from knee_attention.files import written_whole

    rules = _rules_of(number)
    finished = {}
    for cell, training in finished_of(cells, failed, output).items():
        key = (cells[cell].backbone, cells[cell].variant)
        finished.setdefault(key, []).append(training)
    table = rules.rows(finished)
    waiting = {experiment.name for cell, experiment in cells.items() if cell not in failed}
    heading = _heading(number, finished, next(iter(cells.values())).data)
    notes = [
        *rules.claims(finished),
        *(f"failed: {cell}: {reason}" for cell, reason in failed.items()),
        *_missing(waiting, finished),
    ]
    shown = rules.as_text(table)
    files = {
        "csv": table.to_csv(index=False),
        "md": as_markdown(heading, shown, notes),
        "html": as_html(f"Table {number}", heading, shown, notes),
    }
    for suffix, text in files.items():
        with written_whole(output / f"table{number}.{suffix}") as beside:
            # The name of a data folder may be no text.
            beside.write_text(text, encoding="utf-8", errors="replace")


def print_published(number: int, folder: Path, experiments: list[Experiment]) -> None:
    """Print one of the paper's tables of published runs.

    A run takes part if its folder is named as this command names them: `<experiment>`, or
    `<experiment>-seed<N>` for a further training. Runs of other names, of another image size or
    another augmentation, are only listed, and so are copies of a run.

    Args:
        number: which of the paper's tables.
        folder: of published runs.
        experiments: those of the table.

    Raises:
        InputError: no such folder, no run of the table in it, a run that is damaged, or one with
            other options than the rest.
    """
    from knee_attention.evidence.finished_run import copies
    from knee_attention.evidence.tables.common import as_markdown

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    known = {experiment.name: experiment for experiment in experiments}
    found, others, options = {}, [], {}
    for place in sorted(path for path in folder.glob("[!.]*") if path.is_dir()):
        experiment = known.get(without_seed(place.name))
        if experiment is None:
            others.append(place.name)
            continue
        published = RunFolder(place)
        key = (experiment.backbone, experiment.variant)
        found.setdefault(key, {})[place.name] = published.read()
        options[place] = _shared_options(published, experiment)
    if not found:
        raise InputError(f"{folder}: no published run of Table {number}")
    refuse_different(options)
    rules = _rules_of(number)
    copied = {copy: run for trainings in found.values() for copy, run in copies(trainings).items()}
    finished = {
        key: [training for name, training in trainings.items() if name not in copied]
        for key, trainings in found.items()
    }
    notes = [*rules.claims(finished), *_missing(known, finished)]
    notes += [f"left out: {copy} is a copy of {run}" for copy, run in copied.items()]
    if others:
        notes.append(f"published beside this table: {', '.join(others)}")
    data = next(iter(options.values()))["data"]
    heading = _heading(number, finished, data)
    print(as_markdown(heading, rules.as_text(rules.rows(finished)), notes), end="")


def _shared_options(run: RunFolder, experiment: Experiment) -> dict:
    """What all runs of a table have in common, read from one of them."""
    held = with_weights_named(run.read_experiment())
    if held.get("name") != experiment.name:
        raise InputError(f"{run.folder}: holds a run of {held.get('name')}, not of "
                         f"{experiment.name}")
    # On phantoms every backbone has a small setting of its own.
    own = experiment.phantom_setting if held.get("data") is None else {}
    return {name: held.get(name) for name in SHARED_OPTIONS if name not in own}


def with_weights_named(experiment: dict) -> dict:
    """The content of an experiment.json; of the weights it started from only the file's name, for
    each training may have started from a model of its own.
    """
    return experiment | {"weights": Path(str(experiment.get("weights"))).name}


def refuse_different(options: dict[Path, dict]) -> None:
    """Refuse runs that are shown together and were not run alike.

    Args:
        options: of each run those that count.

    Raises:
        InputError: the options of one are not those of the first.
    """
    first, shared = next(iter(options.items()))
    for run, held in options.items():
        for name in shared:
            if held.get(name) != shared[name]:
                raise InputError(f"{run}: cannot be shown together with {first.name}, its {name} "
                                 f"is {_shown(held.get(name))} and not {_shown(shared[name])}")


def _shown(option) -> str:
    return "not given" if option is None else repr(option)


def _heading(number: int, finished: dict, data: str | None) -> str:
    if not finished:
        return "No run is finished yet."
    results = next(iter(finished.values()))[0].results
    origin = "synthetic phantoms" if data is None else Path(data).name
    return (f"{results['knees']} {results['split']} knees ({origin}); in brackets 95% intervals "
            "over persons, those of differences with the chance of training where there are "
            f"several; paper: Table {number}, test accuracy on its own choice of OAI and MOST "
            "films")


def _missing(wanted: Iterable[str], finished: dict) -> list[str]:
    done = {t.results["name"] for trainings in finished.values() for t in trainings}
    waiting = sorted(set(wanted) - done)
    return [f"not run yet: {', '.join(waiting)}"] if waiting else []
