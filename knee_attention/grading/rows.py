"""What is told of a graded knee, wherever it is told: in JSON, in a table, in a picture."""

import numpy as np

from knee_attention.evidence.figures.pictures import captioned
from knee_attention.grading.drawing import film_panel
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.kl import GRADES

SIDES = {"R": "right knee", "L": "left knee", None: "knee"}
"""A knee in words; None where its side is not known."""


def knee_row(file: str, knee: GradedKnee, synthetic: bool) -> dict:
    """A knee as `grade --json`, `grade --csv` and the server have it.

    Args:
        file: the film, as the user names it.
        knee: what the model says.
        synthetic: whether the model learnt from phantoms alone.

    `likeness` is that to the knees which the model learnt from, -1 to 1, None where its file does
    not say how they look, and `unlike` whether it is less than usual.

    `box` is what was cut out of the film for a model of crops, left, top, width and height in
    pixels of the film, upright as it is graded; None for half a film, or a crop that was given.
    `pixel_aspect` is the height over the width of the file's own pixels: where it is not 1, the
    film was resampled to square pixels, and `box` counts those. `trimmed` is how many columns and
    rows of one grey were taken off at the left, top, right and bottom before grading, None if none.
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
    """The columns of a table of such rows, for a model with these outputs; the last one holds the
    reason why a film was not graded.
    """
    shares = [f"{name}_p{grade}" for name in (*outputs, "ensemble") for grade in GRADES]
    return ["file", "side", "grade", "expected_grade", "oa_probability", "chosen", "turned", "box",
            "pixel_aspect", "trimmed", "likeness", "unlike", "synthetic_model", *shares,
            "error"]  # fmt: skip


def film_picture(knees: list[GradedKnee], synthetic: bool) -> np.ndarray:
    """Every knee of a film beside the chosen branch's attention over it, with its grade beneath.
    Where joints were cut out, the film stands before them, with their boxes and the attention
    inside.

    Returns:
        `(height, width, 3)` uint8, blue, green, red.
    """
    panels = [film_panel(knees)] if knees[0].place else []
    for knee in knees:
        share = knee.probabilities[knee.grade]
        caption = f"{SIDES[knee.side]}: KL {knee.grade} (P {share:.2f} by {knee.chosen})"
        if synthetic:
            caption += ", synthetic model"
        if knee.unlike:
            caption += ", unlike the training knees"
        mask = None if knee.mask is None else knee.as_on_film(knee.mask)
        panels.append(captioned(knee.as_on_film(knee.image), mask, caption))
    return np.hstack(panels)
