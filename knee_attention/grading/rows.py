"""What is told of a graded knee, wherever it is told: in JSON, in a table, in a picture."""

import numpy as np

from knee_attention.evidence.pictures import captioned
from knee_attention.grading.grader import GradedKnee
from knee_attention.kl import GRADES

SIDES = {"R": "right knee", "L": "left knee", None: "knee"}
"""A knee in words; None where its side is not known."""


def knee_row(file: str, knee: GradedKnee, synthetic: bool) -> dict:
    """A knee as `grade --json`, `grade --csv` and the server have it.

    Args:
        file: the film, as the user names it.
        knee: what the model says.
        synthetic: whether the model learnt from phantoms alone.
    """
    return {
        "file": file,
        "side": knee.side,
        "grade": knee.grade,
        "expected_grade": knee.expected_grade,
        "oa_probability": knee.oa_probability,
        "chosen": knee.chosen,
        "turned": knee.turned,
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
    return ["file", "side", "grade", "expected_grade", "oa_probability", "chosen", "turned",
            "synthetic_model", *shares, "error"]  # fmt: skip


def film_picture(knees: list[GradedKnee], synthetic: bool) -> np.ndarray:
    """Every knee of a film beside the chosen branch's attention over it, with its grade beneath.

    Returns:
        `(height, width, 3)` uint8, blue, green, red.
    """
    panels = []
    for knee in knees:
        share = knee.probabilities[knee.grade]
        caption = f"{SIDES[knee.side]}: KL {knee.grade} (P {share:.2f} by {knee.chosen})"
        if synthetic:
            caption += ", synthetic model"
        panels.append(captioned(knee.image, knee.mask, caption))
    return np.hstack(panels)
