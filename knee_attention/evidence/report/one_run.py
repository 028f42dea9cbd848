"""The report's section on one run: figures, metrics per grade, worst mistakes."""

from knee_attention.evidence.finished_run import Mistake, ReportedRun
from knee_attention.evidence.report.markup import Markup, element, join, picture, row, table
from knee_attention.evidence.report.numbers import number

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
    """The wrongly graded knees with the highest loss: pictures, and a table of those without."""
    wrong = int((run.predictions.of(run.chosen).argmax(axis=1) != run.predictions.grades).sum())
    text = f"{wrong} of {len(run.predictions)} knees are graded wrong"
    if not run.mistakes:
        return element("p", f"{text}.")
    text += "; those with the highest cross-entropy are shown."
    pictured = [mistake for mistake in run.mistakes if mistake.picture]
    others = [mistake for mistake in run.mistakes if not mistake.picture]
    if pictured and run.branches:
        text += (f" Next to each knee: the attention of {' and '.join(run.branches)}, from "
                 "transparent (lowest) to yellow (highest).")
    parts = [element("p", text)]
    if pictured:
        parts.append(element("div", *map(pictured_mistake, pictured), class_="mistakes"))
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


def pictured_mistake(mistake: Mistake) -> Markup:
    """The picture of a mistake, with a caption of its grades, probabilities and file."""
    true, predicted = mistake.grade, mistake.predicted
    text = f"knee of KL {true}, graded {predicted}, and the model's attention"
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
