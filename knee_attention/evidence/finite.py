"""Refuse NaN and infinity."""

import numpy as np

from knee_attention.errors import InputError


def refuse_not_finite(values: np.ndarray, what: str) -> None:
    """Refuse arrays that contain NaN or infinity.

    Args:
        values: an array of any shape.
        what: name of one value in the message, such as `"a probability"`.

    Raises:
        InputError: a value is not finite.
    """
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise InputError(f"{what} is not a finite number ({np.asarray(values)[wrong][0]})")
