"""The model card of a shipped model: its training, its results and its limits.

Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from knee_attention.evidence.calibration import COVERAGE
from knee_attention.evidence.paper import CITATION
from knee_attention.evidence.result_lines import with_interval
from knee_attention.evidence.tables.common import markdown_rows
from knee_attention.files import RUN_MODEL
from knee_attention.limits import GRADES

COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "kappa",
    "kappa_linear": "linear kappa",
    "kappa_quadratic": "quadratic kappa",
    "mean_absolute_error": "error in grades",
    "oa_auc": "osteoarthritis AUC",
}


def model_card(
    name: str,
    about: str,
    experiment: Mapping,
    results: Mapping,
    calibration: Mapping,
    description: Mapping,
    checks: Mapping,
    of_joints: bool,
) -> str:
    """The model card in Markdown.

    Args:
        name: name of the model.
        about: description of the training set, with licence and citation.
        experiment: as `Experiment.as_json` returns it.
        results: results on the validation split: `knees`, `subjects`, `chosen`, and `outputs`, as
            `split_results` returns them.
        calibration: `{output: {"temperature", "before", "after"}}`; the latter two are expected
            calibration errors.
        description: of the model file, with `decision` and `prediction_sets`.
        checks: `least_likeness`, the `share` of validation knees above it, the number of
            predictions `changed` by rounding to float16 and `changed_by_opencv`, which runs the
            ONNX file, and the file's size in `megabytes`.
        of_joints: True if the knees are crops of joints, False if they are halves of films.
    """
    shown = "a crop of a knee joint" if of_joints else "half a film of both knees"
    height, width = experiment["image_size"]
    outputs = results["outputs"]
    chosen = outputs[results["chosen"]]
    lines = [
        f"# {name}",
        "",
        f"Kellgren-Lawrence grades 0 to 4 from {shown}, {height}x{width} pixels: "
        f"{experiment['name']}, reproduced from {CITATION}",
        "",
        "**Research use only, not a medical device.** Do not use it for decisions about patients.",
        "",
        "## Training",
        "",
        f"{about.rstrip('.')}. {_training(experiment)}",
        "",
        f"## Validation: {results['knees']} knees of {results['subjects']} persons",
        "",
        "Epoch, learning rate, grading branch and temperature were chosen on these knees, so "
        "results on a test set may be worse. In brackets: 95% intervals by bootstrap "
        "over persons.",
        "",
        markdown_rows(
            ("", *COLUMNS.values()),
            [_cells(output, metrics, results["chosen"]) for output, metrics in outputs.items()],
        ),
        "",
        f"By grade, for {results['chosen']}, which grades:",
        "",
        markdown_rows(
            ("true grade", "knees", "recall", "precision"),
            [_grade_cells(grade, chosen["per_grade"][grade]) for grade in GRADES],
        ),
        "",
        "## Confidence",
        "",
        *(
            f"- {output}: the logits are divided by the temperature {values['temperature']:.3f}, "
            "which has the lowest cross-entropy. The expected calibration error changes from "
            f"{values['before']:.3f} to {values['after']:.3f}."
            for output, values in calibration.items()
        ),
        *confidence_lines(description["decision"], description["prediction_sets"]),
        "- The grader warns about knees unlike the training knees: those with a correlation with "
        f"the mean training knee (at 16x16 pixels) below {checks['least_likeness']:.2f}. "
        f"{checks['share']:.1%} of the validation knees get no warning.",
        f"- The weights are stored in float16, {checks['megabytes']:.1f} MB. This changes the "
        f"grade of {checks['changed']} of the {results['knees']} validation knees.",
        "- The `.onnx` file, which `grade` takes by default, computes in float32 by OpenCV. This "
        f"changes the grade of {checks['changed_by_opencv']} of them.",
        "",
        "## Not tested on",
        "",
        "Whole films of hospitals with known grades; supine or lateral views; prostheses, "
        "fractures, implants, children; other detectors."
        + (" Whole films are cropped to the joint by a localiser trained on clinical films of "
           "Bangladesh, on crops of joints from OAI, and on synthetic films "
           "(knee_attention/films/localiser.md)."
           if of_joints else ""),
        "",
    ]
    return "\n".join(lines)


def confidence_lines(decision: Mapping, sets: Mapping) -> list[str]:
    """What the prediction sets and the decision rules reach, as items of a list.

    Args:
        decision, sets: entries of a description, as `evidence.confidence` makes them.
    """
    found, deferred = sets["validation"], sets["validation"]["deferred"]
    rules = decision["validation"].items()
    return [
        f"- Prediction sets of {COVERAGE:.0%} nominal coverage hold the true grade of "
        f"{found['coverage']:.1%} of the knees, with {found['size']:.2f} grades on average; "
        f"{found['wide']:.0%} of the sets have three grades or more (cross-validation over the "
        f"{sets['subjects']} persons). By the grade that is shown, 0 to 4: "
        f"{_shares(found['by_shown'])}; by the true grade: {_shares(found['by_true'])}. The "
        "guarantee holds for films like these, on average over all grades.",
        f"- If the least certain {deferred['share']:.0%} of the knees are left to a reader, the "
        f"others have an accuracy of {with_interval(deferred['accuracy'], None)} and a quadratic "
        f"kappa of {with_interval(deferred['kappa_quadratic'], None)} (cross-validation).",
        "- Decision rules, cross-validated; accuracy, balanced accuracy and quadratic kappa: "
        + "; ".join(f"{rule} {' / '.join(with_interval(value, None) for value in figures.values())}"
                    for rule, figures in rules)
        + f". The default is {decision['default']}; balanced divides by the power "
        f"{decision['power']:g} of the training frequencies.",
    ]


def _shares(shares: list[float | None]) -> str:
    return ", ".join("no knee" if share is None else f"{share:.0%}" for share in shares)


def origin_of_weights(weights: str) -> str:
    """In words, where a training's initial weights come from: a run by its name, or a file."""
    if weights in ("scratch", "imagenet"):
        return f"initial weights {weights}"
    return f"initial weights of {_model_name(weights)}"


def _model_name(file: str) -> str:
    """The name of a model's file, or of its run's folder."""
    path = PurePath(file)
    return path.parent.name if path.name == RUN_MODEL else path.name


def _training(experiment: Mapping) -> str:
    """The training of an experiment in words, and how its grades are averaged."""
    averaged = ""
    if experiment.get("flips"):  # runs of earlier versions lack it
        averaged = " Its grades are averaged over each knee and its mirror image."
    weights, count = origin_of_weights(experiment["weights"]), experiment["epochs"]
    rounds = experiment.get("stability")
    if not count and not rounds:
        return f"This run trained nothing: {weights}.{averaged}"
    parts = []
    if count:
        parts += [
            f"batches of {experiment['batch_size']}",
            f"at most {count} {'epoch' if count == 1 else 'epochs'}",
            f"Adam with learning rate {experiment['learning_rate']:g} ({experiment['schedule']})",
            f"augmentation {experiment['augment']}",
            f"loss weights {_numbers(experiment['loss_weights'])}",
        ]
    if rounds:
        teacher = experiment.get("teacher")
        graded = f"{_model_name(teacher)} grades" if teacher else "it had graded"
        parts.append(f"{rounds} rounds of stability training, in which the network learned to "
                     f"grade noisy, blurred, compressed and badly cropped knees as {graded} "
                     "clean ones (knee_attention/runs/stability.py)")
    parts.append(f"seed {experiment['seed']}")
    return f"Trained on the training split, {weights}: {', '.join(parts)}.{averaged}"


def _numbers(values) -> str:
    return " and ".join(f"{value:g}" for value in values)


def _cells(output: str, metrics: Mapping, chosen: str) -> list[str]:
    name = f"{output} (grades)" if output == chosen else output
    return [name, *(with_interval(metrics[metric], metrics["intervals"].get(metric))
                    for metric in COLUMNS)]


def _grade_cells(grade: int, values: Mapping) -> list[str]:
    shares = (values["recall"], values["precision"])
    return [str(grade), str(values["knees"]),
            *("undefined" if share is None else f"{share:.2f}" for share in shares)]


def with_answers(card: str, answers: str) -> str:
    """A card with answers to checklists in place of earlier ones, and with a line of contents.

    Args:
        card: the card, with or without earlier answers.
        answers: Markdown; its first line is its title.
    """
    title = answers.partition("\n")[0]
    short = card.partition(f"\n{title}\n")[0].rstrip("\n")
    start, *sections = re.split(r"^(?=## )", f"{short}\n\n{answers}", flags=re.MULTILINE)
    start = start.partition("\nContents: ")[0].rstrip("\n")
    titles = [section.partition("\n")[0].removeprefix("## ") for section in sections]
    links = (f"[{title}](#{_anchor(title)})" for title in titles)
    return f"{start}\n\nContents: {' · '.join(links)}\n\n{''.join(sections)}"


def _anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def confusion_table(confusion: Sequence[Sequence[int]]) -> str:
    """A table of knees by true grade (rows) and predicted grade."""
    rows = [[f"true {grade}", *map(str, row)] for grade, row in enumerate(confusion)]
    return markdown_rows(("", *(f"predicted {grade}" for grade in GRADES)), rows)
