"""A graded knee as a row of JSON or CSV and as a line of a table, and a film as a picture."""

import numpy as np

from knee_attention.evidence.figures.pictures import captioned
from knee_attention.evidence.prediction_sets import range_in_words
from knee_attention.grading.graded_knee import GradedKnee, film_panel
from knee_attention.limits import GRADES

SIDES = {"R": "right knee", "L": "left knee", None: "knee"}
"""Names of the knees; None if the side is unknown."""

BOX = ("box_left", "box_top", "box_width", "box_height")
"""The columns of a box in a CSV file."""

DIGITS = 6
"""Decimals of the numbers in a row."""

LONGEST_NAME = 36
"""Longer file names are shortened in the printed table."""


def knee_row(file: str, knee: GradedKnee, synthetic: bool) -> dict:
    """The row of a knee in `grade --json` and the server's answers.

    Args:
        file: the film, as the user names it.
        knee: the graded knee.
        synthetic: whether the model was trained on phantoms only.

    Returns:
        The values by column, among them:

        - `lowest`, `highest`: the prediction set, with `coverage`; None if the model has no sets.
        - `between`: the two grades between which the knee is, if the grade and the probability of
          osteoarthritis disagree; else None.
        - `look_again`: whether the set has three grades or more, or the knee is `unlike`.
        - `inverted`: whether the film was a negative and was inverted.
        - `box`: the crop on the upright film: left, top, width and height in pixels. None for half
          a film, or for an image that is a crop already.
        - `pixel_aspect`: height over width of the file's pixels. If it is not 1, the film was
          resampled to square pixels, which `box` counts.
        - `trimmed`: columns and rows of a uniform border that were cropped off at the left, top,
          right and bottom before grading; None if there were none.
        - `likeness`: correlation with the mean training knee, -1 to 1; None if the model file does
          not record that knee.
        - `unlike`: whether `likeness` is below the usual range.
    """
    lowest, highest = knee.grade_set or (None, None)
    row = {
        "file": file,
        "side": knee.side,
        "grade": knee.grade,
        "lowest": lowest,
        "highest": highest,
        "coverage": knee.coverage,
        "between": list(knee.between) if knee.between else None,
        "look_again": knee.look_again,
        "expected_grade": knee.expected_grade,
        "oa_probability": knee.oa_probability,
        "chosen": knee.chosen,
        "inverted": knee.inverted,
        "box": list(knee.box) if knee.box else None,
        "pixel_aspect": knee.pixel_aspect,
        "trimmed": knee.frame.pixels if knee.frame else None,
        "likeness": knee.likeness,
        "unlike": knee.unlike,
        "synthetic_model": synthetic,
        **{
            f"{name}_p{grade}": float(value)
            for name, values in {**knee.branches, "ensemble": knee.ensemble}.items()
            for grade, value in enumerate(values)
        },
    }
    return {name: round(value, DIGITS) if isinstance(value, float) else value
            for name, value in row.items()}


def csv_row(row: dict) -> dict:
    """A row of `knee_row` for a CSV file: the box in four columns, other lists as `1 2`."""
    cells = {name: " ".join(map(str, value)) if isinstance(value, list) else value
             for name, value in row.items() if name != "box"}
    return cells | dict(zip(BOX, row["box"] or (), strict=False))


def table_titles(width: int) -> str:
    """The titles above the lines of `table_line`."""
    return f"{'file':{width}} side KL (set)    P0   P1   P2   P3   P4  mean  P(KL>=2)  likeness"


def table_line(row: dict, width: int) -> str:
    """A row of `knee_row` as a line of the printed table.

    Args:
        row: the row.
        width: that of the file names, in characters.
    """
    file = row["file"] if len(row["file"]) <= width else "..." + row["file"][3 - width :]
    grade = f"{row['grade']}"
    if row["coverage"]:
        grade += f" ({range_in_words(row['lowest'], row['highest'])})"
    chosen = row["chosen"]
    probabilities = "".join(f"{row[f'{chosen}_p{k}']:5.2f}" for k in GRADES)
    likeness = "-" if row["likeness"] is None else f"{row['likeness']:.2f}"
    remarks = ["unlike"] * row["unlike"] + ["look again"] * row["look_again"]
    if row["between"]:
        remarks.append("between {} and {}".format(*row["between"]))
    return (f"{file:{width}} {row['side'] or '-':4} {grade:8} {probabilities}"
            f"{row['expected_grade']:6.2f}{row['oa_probability']:10.2f}{likeness:>10}"
            f" {', '.join(remarks)}").rstrip()


def uncertainty_key(row: dict) -> tuple[bool, float]:
    """A sort key of `knee_row`: knees to look at again first, then the least probable grades."""
    return not row["look_again"], max(row[f"{row['chosen']}_p{grade}"] for grade in GRADES)


def columns(outputs: list[str]) -> list[str]:
    """The columns of `grade --csv` for a model with these outputs.

    `error` is the reason why a film was not graded.
    """
    probabilities = [f"{name}_p{grade}" for name in (*outputs, "ensemble") for grade in GRADES]
    return ["file", "side", "grade", "lowest", "highest", "coverage", "between", "look_again",
            "expected_grade", "oa_probability", "chosen", "inverted", *BOX, "pixel_aspect",
            "trimmed", "likeness", "unlike", "synthetic_model", *probabilities,
            "error"]  # fmt: skip


def film_picture(
    knees: list[GradedKnee], synthetic: bool, branch: str | None = None
) -> np.ndarray:
    """Draw every knee of a film beside its attention, with the grade below, one knee a row.

    If the knees are crops, the film comes first, with their boxes.

    Args:
        knees: the knees of the film.
        synthetic: whether the model was trained on phantoms only.
        branch: the branch whose attention is drawn; None for all branches, side by side.

    Returns:
        `(height, width, 3)` uint8, blue, green, red.
    """
    rows = []
    for knee in knees:
        probability = knee.probabilities[knee.grade]
        caption = f"{SIDES[knee.side]}: {knee.words}, P {probability:.2f} by {knee.chosen}"
        if synthetic:
            caption += ", synthetic model"
        if knee.unlike:
            caption += ", unlike the training knees"
        if knee.look_again:
            caption += ", look again"
        masks = {
            name: knee.as_on_film(mask)
            for name, mask in knee.branch_masks.items() if branch in (None, name)
        }  # fmt: skip
        rows.append(captioned(knee.as_on_film(knee.image), masks, caption))
    picture = np.vstack(rows)
    if knees[0].place:
        picture = np.hstack([film_panel(knees, len(picture)), picture])
    return picture
