"""The report's localisation: where every branch looks, and one branch in several runs."""

from itertools import combinations

from knee_attention.evidence.paper import VARIANT_TITLES
from knee_attention.evidence.report.markup import Markup, element, join, row, table
from knee_attention.evidence.report.numbers import why_other_knees
from knee_attention.evidence.report.report_run import ReportedRun

NOTE = (
    "Means over the knees; small: what a mask that is the same everywhere would reach. Share on "
    "the joint: of the mask's sum. Highest on the joint: the share of knees whose mask is highest "
    "there (pointing game). No branch was told where the joint is."
)
DRAWN_JOINTS = {
    "exact": "attention on joints that experts drew",
    "widened": "the same, the joint half a cell of each branch's grid wider",
}
"""What `expert_masks.json` of a run holds, and how it is called."""


def attention_scores(runs: list[ReportedRun]) -> Markup:
    """How every branch's attention lies to the joint, and one branch's in several runs."""
    known = [run for run in runs if run.results.get("localisation")]
    parts = []
    if known:
        scores = [(run.label, run.results["localisation"]) for run in known]
        parts += [
            scores_table(scores, "localisation of every branch"), element("p", NOTE, class_="note")
        ]
    drawn = [run for run in runs if run.expert_masks]
    if drawn:
        for key, title in DRAWN_JOINTS.items():
            scores = [(run.label, run.expert_masks[key]) for run in drawn]
            parts.append(scores_table(scores, title))
        counts = ", ".join(
            f"{run.label}: {run.expert_masks['knees']} {run.expert_masks['split']} knees of "
            f"{run.expert_masks['data']}" for run in drawn
        )
        parts.append(element("p", f"Joints that experts drew ({counts}).", class_="note"))
    missing = [
        run.label for run in runs
        if run.experiment["branches"] and not run.results.get("localisation")
        and not run.expert_masks
    ]  # fmt: skip
    if missing:
        parts.append(
            element("p", f"{', '.join(missing)}: where the joint lies in these knees is not known, "
                    "so the masks were not measured.")
        )
    sentences = [element("li", sentence) for sentence in same_branches(known)]
    return join([*parts, element("ul", *sentences)] if sentences else parts)


def scores_table(scored: list[tuple[str, dict]], title: str) -> Markup:
    """A row a branch: how its attention lies to the joint.

    Args:
        scored: `(label of the run, {branch: scores as localisation gives them})`.
        title: of the table.
    """
    rows = [
        row(
            label,
            branch,
            f"{scores['inside']:.3f}",
            f"{scores['outside']:.3f}",
            against_uniform(f"{scores['inside_over_outside']:.2f}", "1.00"),
            against_uniform(
                f"{scores['energy_inside']:.1%}", f"{scores['energy_inside_uniform']:.1%}"
            ),
            against_uniform(
                f"{scores['pointing_game']:.1%}", f"{scores['pointing_game_uniform']:.1%}"
            ),
        )
        for label, branches in scored
        for branch, scores in branches.items()
    ]
    titles = ["run", "branch", "mean on the joint", "off the joint", "on over off",
              "share on the joint", "highest on the joint"]  # fmt: skip
    return table(titles, rows, title, class_="numbers")


def same_branches(runs: list[ReportedRun]) -> list[str]:
    """One sentence for each two runs that have a branch of the same backbone."""
    sentences = []
    for first, second in combinations(runs, 2):
        if first.results["backbone"] != second.results["backbone"]:
            continue
        for branch, scores in first.results["localisation"].items():
            others = second.results["localisation"].get(branch)
            if others is None:
                continue
            sentence = (
                f"{branch} of {first.results['backbone']}: {how_trained(first, branch)} "
                f"({first.label}) its attention is {scores['inside_over_outside']:.2f} times as "
                f"high on the joint as off it, {how_trained(second, branch)} ({second.label}) "
                f"{others['inside_over_outside']:.2f} times; {scores['energy_inside']:.1%} and "
                f"{others['energy_inside']:.1%} of it lie on the joint "
                f"(uniform {scores['energy_inside_uniform']:.1%})."
            )
            if {"single", "multi_loss"} == {run.experiment["fusion"] for run in (first, second)}:
                sentence += " This is the comparison of the paper's figure 3, as a number."
            if why_other_knees(first, second):
                sentence += " The two were measured on different knees."
            sentences.append(sentence)
    return sentences


def how_trained(run: ReportedRun, branch: str) -> str:
    """Whether a branch was trained alone, or with which others and how."""
    others = [name for name in run.experiment["branches"] if name != branch]
    if not others:
        return "trained alone"
    return f"with {', '.join(others)} by {VARIANT_TITLES[run.results['variant']]}"


def against_uniform(value: str, uniform: str) -> Markup:
    """A cell: a score, and beneath it that of a uniform mask."""
    return join([value, element("small", f"uniform {uniform}")])
