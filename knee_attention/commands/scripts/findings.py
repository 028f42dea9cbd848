"""The command line of `experiments/findings.py`."""

import argparse
import runpy
from pathlib import Path

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError
from knee_attention.startup import command_line


def main(
    tables: dict[str, Path],
    extra: dict[str, str],
    ensembles: dict[str, str],
    compared: dict[str, tuple[str, str]],
    pictures: dict[str, str],
    about: dict[str, str],
    arguments: list[str] | None = None,
) -> None:
    """Print the findings of published runs; write the README and the learning curves of the set.

    Args:
        tables: the scripts of the tables by name, each with the `SCRIPTS` of its experiments.
        extra, ensembles, compared: as `findings` in `knee_attention.evidence.tables.findings`.
        pictures: captions of the pictures in the README, by file name.
        about: texts about sets, by the name of their folder or of their data.
        arguments: the command line without the program name; None: that of the process.
    """
    parser = argparse.ArgumentParser(
        description="Print the findings of the published runs of a data set beyond Tables 1 and 2: "
        "deeper against shallower branches, attention on joint spaces that experts drew, "
        "ensembles, and other rules from probabilities to a grade. Needs no data and no weights.",
    )
    parser.add_argument("--from", dest="published", type=as_path, required=True, metavar="DIR",
                        help="folder of published runs, such as experiments/results/kneekl224")
    parser.add_argument("--curves", type=as_path, metavar="FILE.png",
                        help="draw the learning curves of the multi-loss experiments")
    parser.add_argument("--readme", action="store_true",
                        help="write README.md in DIR: the files, the runs, and all tables")
    options = parser.parse_args(arguments)
    with command_line("findings.py"):
        if options.curves and options.curves.suffix.lower() != ".png":
            raise InputError(f"{options.curves}: the name of a picture ends in .png")
        from knee_attention.evidence.tables.findings import findings
        from knee_attention.files import written_whole
        from knee_attention.runs.finished.published_runs import by_experiment, read_runs
        from knee_attention.runs.finished.results_page import results_page

        runs = read_runs(options.published)
        found = findings(by_experiment(runs), extra, ensembles, compared)
        print("\n\n".join(finding.table for finding in found))
        if options.curves:
            _draw_curves(set(runs), options.published, options.curves)
        if options.readme:
            experiments = {name: _experiments(script) for name, script in tables.items()}
            known = (options.published.resolve().name, next(iter(runs.values())).origin)
            text = next((about[name] for name in known if name in about), "")
            page = results_page(options.published, runs, experiments, found, pictures, text)
            with written_whole(options.published / "README.md") as path:
                path.write_text(page, encoding="utf-8")


def _experiments(script: Path) -> list:
    """The experiments of the script of a table."""
    scripts = runpy.run_path(str(script))["SCRIPTS"]
    return [runpy.run_path(str(path))["EXPERIMENT"] for path in scripts]


def _draw_curves(names: set[str], folder: Path, path: Path) -> None:
    from knee_attention.evidence.figures.curves import several_learning_curves
    from knee_attention.evidence.paper import BACKBONE_TITLES
    from knee_attention.runs.finished.published_set import PublishedSet

    published = PublishedSet(folder)
    histories = {
        title: published.history(f"{backbone}_multiloss")
        for backbone, title in BACKBONE_TITLES.items()
        if f"{backbone}_multiloss" in names
    }
    shown = {title: history for title, history in histories.items() if history}
    if not shown:
        raise InputError(f"{folder}: no multi-loss run to draw")
    several_learning_curves(shown, path)
