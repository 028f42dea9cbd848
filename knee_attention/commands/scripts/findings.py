"""The command line of `experiments/findings.py`."""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError
from knee_attention.startup import command_line

BESIDE = {
    "vgg16_multiloss-224": "VGG-16 multi-loss at 224x224",
    "vgg16_multiloss-rate1e-4": "VGG-16 multi-loss at half the learning rate",
    "antony_clsf_multiloss-flips": "Antony clsf. multi-loss with flips alone",
    "antony_clsf_multiloss-moving": "Antony clsf. multi-loss with moving batch statistics",
}
"""Runs that no table has, by the name they are published under: that of the run which the table
has, and what departs from it."""

JOINED = {
    "vgg16_multiloss": "VGG-16 multi-loss",
    "vgg16_multiloss-224": BESIDE["vgg16_multiloss-224"],
}
"""What is shown as an ensemble, and by other rules."""

COMPARED = ("difference on the same knees", "accuracy", "quadratic kappa")
ATTENTION = ("branch", "on / off the joint space", "by the mean of its masks",
             "highest point on it", "half a cell wider: on / off", "highest point on it")
BEYOND = ("what", "accuracy", "balanced", "quadratic kappa", "recall of grades 0 to 4")
AGAINST = ("difference of accuracy", "of quadratic kappa")


def main(arguments: list[str] | None = None) -> None:
    """Print what published runs find beyond the tables, and draw the learning curves.

    Args:
        arguments: the command line without the program; by default the process's own.
    """
    parser = argparse.ArgumentParser(
        description="Print what the published runs of a data set find together, beyond Tables 1 "
        "and 2: deeper against shallower branches, attention on joint spaces that experts drew, "
        "ensembles, and other ways from probabilities to a grade. Needs no data and no weights.",
    )
    parser.add_argument("--from", dest="published", type=as_path, required=True, metavar="DIR",
                        help="of published runs, such as experiments/results/kneekl224")
    parser.add_argument("--curves", type=as_path, metavar="FILE.png",
                        help="draw the learning curves of the multi-loss experiments there")
    options = parser.parse_args(arguments)
    with command_line("findings.py"):
        if options.curves and options.curves.suffix.lower() != ".png":
            raise InputError(f"{options.curves}: the name of a picture ends in .png")
        from knee_attention.runs.finished.publishing import read_published

        runs = read_published(options.published)
        print(findings_of(runs), end="")
        if options.curves:
            _draw_curves(runs, options.published, options.curves)


def findings_of(runs: dict) -> str:
    """What `findings.py` prints of such runs, in Markdown."""
    from knee_attention.evidence.paper import BACKBONE_TITLES
    from knee_attention.evidence.tables import beyond_the_paper
    from knee_attention.evidence.tables.common import markdown_rows

    pairs = beyond_the_paper.pairs_of(BACKBONE_TITLES)
    pairs |= {
        f"{title} - as in the table": (name, name.partition("-")[0])
        for name, title in BESIDE.items()
    }
    blocks = [(COMPARED, beyond_the_paper.comparisons(runs, pairs)),
              (ATTENTION, beyond_the_paper.attention(runs))]  # fmt: skip
    repeated = {
        title: runs[name]
        for name, title in JOINED.items()
        if len(runs.get(name, [])) > 1
    }
    blocks.append((BEYOND, [
        row
        for title, trainings in repeated.items()
        for row in beyond_the_paper.beyond(title, trainings)
    ]))  # fmt: skip
    for title, trainings in repeated.items():
        heading = (f"{title}, all branches of all, graded by", *BEYOND[1:], *AGAINST)
        blocks.append((heading, beyond_the_paper.rules(beyond_the_paper.together(trainings))))
    return "\n".join(markdown_rows(heading, rows) for heading, rows in blocks if rows)


def _draw_curves(runs: dict, folder: Path, path: Path) -> None:
    import pandas as pd

    from knee_attention.evidence.figures.curves import several_learning_curves
    from knee_attention.evidence.paper import BACKBONE_TITLES
    from knee_attention.runs.run_folder import RunFolder

    shown = {}
    for backbone, title in BACKBONE_TITLES.items():
        name = f"{backbone}_multiloss"
        if name in runs:
            shown[title] = pd.read_csv(RunFolder(folder / name).history).to_dict("records")
    if not shown:
        raise InputError(f"{folder}: no multi-loss run to draw")
    several_learning_curves(shown, path)
