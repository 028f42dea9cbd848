"""A model card: what a shipped model is, what it reaches and what nobody knows of it.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from collections.abc import Mapping
from pathlib import PurePath

from knee_attention.evidence.paper import CITATION
from knee_attention.evidence.result_lines import with_interval
from knee_attention.kl import GRADES

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
    checks: Mapping,
    of_joints: bool,
) -> str:
    """The card in Markdown.

    Args:
        name: of the model.
        about: what its training set is, with licence and citation.
        experiment: what it was trained with, as `Experiment.as_json` has it.
        results: on the validation split: `knees`, `subjects`, `chosen`, and under `outputs` what
            `split_results` gives.
        calibration: `{output: {"temperature", "before", "after"}}`, the latter two expected
            calibration errors.
        checks: `least_likeness`, the `share` of validation knees above it, `changed` predictions
            by rounding to float16 and `megabytes`.
        of_joints: whether its knees are crops of joints, and not halves of films.
    """
    shown = "a crop of a knee joint" if of_joints else "half a film of both knees"
    height, width = experiment["image_size"]
    outputs = results["outputs"]
    chosen = outputs[results["chosen"]]
    lines = [
        f"# {name}",
        "",
        f"Kellgren-Lawrence grades 0 to 4 from {shown}, {height}x{width} pixels: "
        f"{experiment['name']} of {CITATION}",
        "",
        "**Research use only, not a medical device.** It must not decide about a patient.",
        "",
        "## Trained on",
        "",
        f"{about.rstrip('.')}. Its training split, {_origin(experiment)}; batches of "
        f"{experiment['batch_size']}, at most {experiment['epochs']} epochs, Adam at "
        f"{experiment['learning_rate']:g} ({experiment['schedule']}), augmentation "
        f"{experiment['augment']}, loss weights {_numbers(experiment['loss_weights'])}, seed "
        f"{experiment['seed']}.",
        "",
        f"## Reached on validation: {results['knees']} knees of {results['subjects']} persons",
        "",
        "The same knees chose its epoch, its learning rate, its grading branch and its "
        "temperature, so a test set will show a little less. In brackets 95% intervals by "
        "bootstrap over persons.",
        "",
        "| | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
        *(_row(output, metrics, results["chosen"]) for output, metrics in outputs.items()),
        "",
        f"Grade by grade, by {results['chosen']}, which grades:",
        "",
        "| true grade | knees | found (recall) | right where said (precision) |",
        "|---|---|---|---|",
        *(_grade_row(grade, chosen["per_grade"][grade]) for grade in GRADES),
        "",
        "## Confidence",
        "",
        *(
            f"- {output}: divided by a temperature of {values['temperature']:.3f}, that of the "
            "lowest cross-entropy; the expected calibration error goes from "
            f"{values['before']:.3f} to {values['after']:.3f}"
            for output, values in calibration.items()
        ),
        f"- A knee whose likeness to the mean training knee (correlation at 16x16 pixels) is below "
        f"{checks['least_likeness']:.2f} is said to be unlike them; {checks['share']:.1%} of the "
        "validation knees are not.",
        f"- Weights are stored in float16, {checks['megabytes']:.1f} MB: that changes the grade of "
        f"{checks['changed']} of the {results['knees']} validation knees.",
        "",
        "## Not tested on",
        "",
        "Knees of any other source; lying or lateral views; prostheses, fractures, implants, "
        "children; other detectors."
        + (" Whole films are cut to the joint by a localiser that learnt from clinical films of "
           "one hospital, from OAI's crops of joints and from synthetic films (REPRODUCTION.md)."
           if of_joints else ""),
        "",
    ]
    return "\n".join(lines)


def _origin(experiment: Mapping) -> str:
    if experiment["weights"] in ("scratch", "imagenet"):
        return f"weights from {experiment['weights']}"
    return f"going on from the weights of {PurePath(experiment['weights']).parent.name}"


def _numbers(values) -> str:
    return " and ".join(f"{value:g}" for value in values)


def _row(output: str, metrics: Mapping, chosen: str) -> str:
    cells = [with_interval(metrics[name], metrics["intervals"].get(name)) for name in COLUMNS]
    return f"| {output}{' (grades)' if output == chosen else ''} | " + " | ".join(cells) + " |"


def _grade_row(grade: int, values: Mapping) -> str:
    shares = ["undefined" if values[name] is None else f"{values[name]:.2f}"
              for name in ("recall", "precision")]  # fmt: skip
    return f"| {grade} | {values['knees']} | {shares[0]} | {shares[1]} |"
