"""NaN and infinity, which are neither a grade nor part of a metric."""

import numpy as np

from knee_attention.errors import InputError


def refuse_not_finite(values: np.ndarray, what: str) -> None:
    """Refuse values among which there is NaN or infinity.

    Args:
        values: numbers of any shape.
        what: what one of them is, for the message, such as `"a probability"`.

    Raises:
        InputError: one of them is not finite.
    """
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise InputError(f"{what} is not a finite number ({np.asarray(values)[wrong][0]})")
