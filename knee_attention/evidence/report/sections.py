"""The report's sections on one run and on localisation."""

from itertools import combinations

from knee_attention.evidence.finished_run import Mistake, ReportedRun
from knee_attention.evidence.paper import VARIANT_TITLES
from knee_attention.evidence.report.markup import Markup, element, join, picture, row, table
from knee_attention.evidence.report.numbers import number, why_other_knees

FIGURES = {
    "learning_curves": "Loss and accuracy over the epochs",
    "masks": "Attention masks on a knee of each grade",
    "confusion_matrix": "Confusion matrix",
    "reliability": "Reliability diagram",
}
"""`{name in the run's figures: caption}`, in the order on the page."""


def one_run(run: ReportedRun) -> Markup:
    """The figures of a run, its metrics per grade, and its worst mistakes."""
    shown = [
        element(
            "figure",
            picture(run.figures[name], f"{title}, {run.label}"),
            element("figcaption", title),
            class_=name,
        )
        if name in run.figures
        else element("p", f"{title}: figures/{name}.png is missing or damaged.", class_="missing")
        for name, title in FIGURES.items()
        if name != "learning_curves" or run.results["epochs"]
    ]
    grades = [
        row(
            f"KL {grade}",
            str(values["knees"]),
            *(number(values[name]) for name in ("precision", "recall", "f1")),
        )
        for grade, values in enumerate(run.outputs[run.chosen]["per_grade"])
    ]
    titles = ["grade", "knees", "precision", "recall", "F1"]
    return join(
        [
            element("div", *shown, class_="figures"),
            element("h3", f"By grade, {run.chosen}"),
            table(titles, grades, f"precision, recall and F1 by grade, {run.label}",
                  class_="numbers"),
            element("h3", f"Worst mistakes, {run.chosen}"),
            mistakes(run),
        ]
    )  # fmt: skip


def mistakes(run: ReportedRun) -> Markup:
    """The worst mistakes of a run: pictures, and a table of those without a picture."""
    wrong = int((run.predictions.of(run.chosen).argmax(axis=1) != run.predictions.grades).sum())
    text = f"{wrong} of {len(run.predictions)} knees are graded wrong"
    if not run.mistakes:
        return element("p", f"{text}.")
    text += "; those furthest from the true grade are shown."
    pictured = [mistake for mistake in run.mistakes if mistake.picture]
    others = [mistake for mistake in run.mistakes if not mistake.picture]
    if pictured and run.branches:
        text += (f" Next to each knee: the attention of {' and '.join(run.branches)}, from "
                 "transparent (lowest) to yellow (highest).")
    parts = [element("p", text)]
    if pictured:
        figures = [pictured_mistake(mistake, bool(run.branches)) for mistake in pictured]
        parts.append(element("div", *figures, class_="mistakes"))
    if others:
        rows = [
            row(
                mistake.file,
                str(mistake.grade),
                str(mistake.predicted),
                *(f"{mistake.probabilities[grade]:.3f}" for grade in (mistake.predicted,
                                                                     mistake.grade)),
                f"{mistake.loss:.2f}",
            )
            for mistake in others
        ]  # fmt: skip
        titles = ["knee", "true grade", "predicted", "P of the predicted", "P of the true", "loss"]
        parts += [
            element("p", f"Without a picture: {run.unshown}.", class_="missing"),
            table(titles, rows, "mistakes without a picture", class_="numbers"),
        ]
    return join(parts)


def pictured_mistake(mistake: Mistake, has_masks: bool) -> Markup:
    """The picture of a mistake, with a caption of its grades, probabilities and file."""
    true, predicted = mistake.grade, mistake.predicted
    text = f"knee of KL {true}, graded {predicted}"
    if has_masks:
        text += ", and the model's attention"
    return element(
        "figure",
        picture(mistake.picture, text),
        element(
            "figcaption",
            element("strong", f"KL {true}, graded {predicted}"),
            f"P({predicted}) {mistake.probabilities[predicted]:.2f}, "
            f"P({true}) {mistake.probabilities[true]:.2f}, loss {mistake.loss:.2f}",
            element("code", mistake.file),
        ),
    )


NOTE = (
    "Means over the knees; in small print: the score of a uniform mask. Share on the joint: share "
    "of the mask's sum. Highest on the joint: share of knees whose mask has its maximum there "
    "(pointing game). Training does not use the position of the joint."
)
DRAWN_JOINTS = {
    "exact": "attention on joints drawn by experts",
    "widened": "the same, with the joint widened by half a cell of each branch's grid",
}
"""`{entry of a run's expert_masks.json: title of its table}`."""


def attention_scores(runs: list[ReportedRun]) -> Markup:
    """Tables of the localisation scores of every branch, and comparisons between runs."""
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
        parts.append(element("p", f"Joints drawn by experts ({counts}).", class_="note"))
    missing = [
        run.label for run in runs
        if run.experiment["branches"] and run.experiment.get("attention") != "none"
        and not run.results.get("localisation") and not run.expert_masks
    ]  # fmt: skip
    if missing:
        parts.append(
            element("p", f"{', '.join(missing)}: not measured, because the position of the joint "
                    "is unknown.")
        )
    sentences = [element("li", sentence) for sentence in same_branches(known)]
    return join([*parts, element("ul", *sentences)] if sentences else parts)


def scores_table(scored: list[tuple[str, dict]], title: str) -> Markup:
    """A table of localisation scores, one row per branch.

    Args:
        scored: pairs of a run's label and `{branch: scores}`; as `localisation` returns them.
        title: title of the table.
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
    """A sentence for each pair of runs with the same branch of the same backbone."""
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
                f"({first.label}), its attention is {scores['inside_over_outside']:.2f} times as "
                f"high on the joint as off it; {how_trained(second, branch)} ({second.label}), "
                f"{others['inside_over_outside']:.2f} times. {scores['energy_inside']:.1%} and "
                f"{others['energy_inside']:.1%} of it lie on the joint "
                f"(uniform {scores['energy_inside_uniform']:.1%})."
            )
            if {"single", "multi_loss"} == {run.experiment["fusion"] for run in (first, second)}:
                sentence += " The paper's figure 3 shows this comparison in pictures."
            if why_other_knees(first, second):
                sentence += " The two were measured on different knees."
            sentences.append(sentence)
    return sentences


def how_trained(run: ReportedRun, branch: str) -> str:
    """Text about a branch: `trained alone`, or `trained with att1 by multi-loss`."""
    others = [name for name in run.experiment["branches"] if name != branch]
    if not others:
        return "trained alone"
    return f"trained with {', '.join(others)} by {VARIANT_TITLES[run.results['variant']]}"


def against_uniform(value: str, uniform: str) -> Markup:
    """A table cell: a score, and the score of a uniform mask below it."""
    return join([value, element("small", f"uniform {uniform}")])
