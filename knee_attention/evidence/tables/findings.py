"""The findings of the runs of one data set beyond Tables 1 and 2, as tables in Markdown."""

from dataclasses import dataclass

from knee_attention.evidence.paper import BACKBONE_TITLES
from knee_attention.evidence.tables import bands, beyond_the_paper
from knee_attention.evidence.tables.beyond_the_paper import Runs
from knee_attention.evidence.tables.common import have_own_phantoms, markdown_rows

COMPARED = ("difference on the same knees", "accuracy", "quadratic kappa")
ATTENTION = ("branch", "on / off the joint space", "by the mean of its masks",
             "highest point on it", "half a cell wider: on / off",
             "half a cell wider: highest point on it")  # fmt: skip
AUDITED = ("run and branch", "highest point on the joint", "by the mean mask",
           "highest point: own - mean mask", "by a uniform mask", "share on the joint",
           "of the mean mask", "of a uniform mask", "accuracy", "with the mean mask",
           "accuracy: own - mean mask")  # fmt: skip
BANDS = ("experiment", "output", "trainings", "accuracy", "band of accuracy", "quadratic kappa",
         "band of quadratic kappa")  # fmt: skip
BEYOND = ("what", "accuracy", "balanced", "quadratic kappa", "recall of grades 0 to 4")
AGAINST = ("difference of accuracy", "of quadratic kappa")


@dataclass(frozen=True)
class Finding:
    """A table with its title and a text that explains it.

    Attributes:
        title: the title.
        text: the explanation.
        table: the table in Markdown.
    """

    title: str
    text: str
    table: str


def findings(
    runs: Runs,
    extra: dict[str, str],
    ensembles: dict[str, str],
    compared: dict[str, tuple[str, str]],
) -> list[Finding]:
    """The findings that these runs allow.

    Args:
        runs: `{experiment: trainings}`.
        extra: `{experiment: title}` of experiments that no table of the paper has. Each is
            compared with the experiment whose name is the part before the first hyphen.
        ensembles: `{experiment: title}` of the experiments that are also shown as an ensemble.
        compared: `{label: (first, second)}`, further pairs of experiments to compare.
    """
    pairs = beyond_the_paper.pairs_of(BACKBONE_TITLES)
    pairs |= {
        f"{title} - as in the table": (name, name.partition("-")[0])
        for name, title in extra.items()
    }
    pairs |= compared
    repeated = {
        title: runs[name] for name, title in ensembles.items()
        if len(runs.get(name, [])) > 1 and not have_own_phantoms(runs[name])
    }  # fmt: skip
    found = [
        ("Differences",
         "Mean differences between the trainings of two experiments, with 95% intervals over "
         "persons and, where an experiment has several trainings, over trainings.",
         COMPARED, beyond_the_paper.comparisons(runs, pairs)),
        ("Attention on the joint space",
         "Attention masks against joint spaces that experts drew: mean attention on the joint "
         "space divided by the mean off it, and the share of knees whose highest attention is on "
         "it.",
         ATTENTION, beyond_the_paper.attention(runs)),
        ("Attention on displaced joints",
         "The share of knees whose highest attention is on the joint, or within half a cell of "
         "the mask's grid; and the share of the attention that is on the joint. The mean mask is "
         "that of all audited knees. Differences have 95% intervals over persons.",
         AUDITED, beyond_the_paper.audits(runs)),
        ("Ensembles",
         "An ensemble takes the mean over outputs before the softmax.",
         BEYOND, [row for title, trainings in repeated.items()
                  for row in beyond_the_paper.ensemble_rows(title, trainings)]),
    ]  # fmt: skip
    found += [
        (f"Other rules for a grade: {title}",
         "Each rule is fitted on nine tenths of the persons and applied to the last tenth, in "
         "turn. Differences are to the first rule.",
         (f"{title}, all branches of all, graded by", *BEYOND[1:], *AGAINST),
         beyond_the_paper.rules(beyond_the_paper.ensemble_of_runs(trainings)))
        for title, trainings in repeated.items()
    ]  # fmt: skip
    experiments = {
        name: trainings for name, trainings in runs.items()
        if trainings[0].experiment.get("name") == name.partition("-")[0]
    }  # fmt: skip
    if experiments:
        measured = bands.measured(experiments)
        found.append(("Bands for a rerun", bands.band_text(measured), BANDS,
                      bands.band_rows(measured)))  # fmt: skip
    return [
        Finding(title, text, markdown_rows(heading, rows))
        for title, text, heading, rows in found
        if rows
    ]
