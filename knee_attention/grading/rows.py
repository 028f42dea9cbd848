"""A graded knee as a row of JSON or CSV, and a film as a picture."""

import numpy as np

from knee_attention.evidence.figures.pictures import captioned
from knee_attention.grading.drawing import film_panel
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.kl import GRADES

SIDES = {"R": "right knee", "L": "left knee", None: "knee"}
"""Names of the knees; None if the side is unknown."""


def knee_row(file: str, knee: GradedKnee, synthetic: bool) -> dict:
    """The row of a knee in `grade --json`, `grade --csv` and the server's answers.

    Args:
        file: the film, as the user names it.
        knee: the graded knee.
        synthetic: whether the model was trained on phantoms only.

    Returns:
        The values by column, among them:

        - `turned`: whether the film was a negative, which was inverted.
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
    return {
        "file": file,
        "side": knee.side,
        "grade": knee.grade,
        "expected_grade": knee.expected_grade,
        "oa_probability": knee.oa_probability,
        "chosen": knee.chosen,
        "turned": knee.turned,
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


def columns(outputs: list[str]) -> list[str]:
    """The columns of `grade --csv` for a model with these outputs.

    `error` is the reason why a film was not graded.
    """
    probabilities = [f"{name}_p{grade}" for name in (*outputs, "ensemble") for grade in GRADES]
    return ["file", "side", "grade", "expected_grade", "oa_probability", "chosen", "turned", "box",
            "pixel_aspect", "trimmed", "likeness", "unlike", "synthetic_model", *probabilities,
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
        caption = f"{SIDES[knee.side]}: KL {knee.grade} (P {probability:.2f} by {knee.chosen})"
        if synthetic:
            caption += ", synthetic model"
        if knee.unlike:
            caption += ", unlike the training knees"
        masks = {
            name: knee.as_on_film(mask)
            for name, mask in knee.low_masks.items() if branch in (None, name)
        }  # fmt: skip
        rows.append(captioned(knee.as_on_film(knee.image), masks, caption))
    picture = np.vstack(rows)
    if knees[0].place:
        picture = np.hstack([film_panel(knees, len(picture)), picture])
    return picture
