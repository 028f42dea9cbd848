"""A film's knees in one picture, each beside its attention, as every way out of here shows them."""

import numpy as np

from knee_attention.evidence.pictures import captioned
from knee_attention.grading.grader import GradedKnee

SIDES = {"R": "right knee", "L": "left knee", None: "knee"}


def picture_of(knees: list[GradedKnee], synthetic: bool) -> np.ndarray:
    """The knees of a film side by side, each with its grade beneath.

    Args:
        knees: of one film.
        synthetic: whether the model learnt from phantoms, which is then said.

    Returns:
        `(height, width, 3)` uint8, blue, green, red.
    """
    panels = []
    for knee in knees:
        share = knee.probabilities[knee.grade]
        caption = f"{SIDES[knee.side]}: KL {knee.grade} (P {share:.2f} by {knee.chosen})"
        caption += ", synthetic model" * synthetic
        panels.append(captioned(knee.image, knee.mask, caption))
    return np.hstack(panels)
