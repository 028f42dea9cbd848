"""Temperature scaling of probabilities that are over- or underconfident by a known factor."""

import numpy as np
import pytest

from knee_attention.evidence.metrics import expected_calibration_error
from knee_attention.evidence.probabilities import best_temperature, tempered


def true_and_said(sharpened):
    """Grades drawn from probabilities, and the same probabilities made overconfident."""
    generator = np.random.default_rng(0)
    honest = generator.dirichlet(np.ones(5), 4000)
    grades = np.array([generator.choice(5, p=row) for row in honest])
    return grades, tempered(honest, 1 / sharpened)


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 2.0])
def test_the_temperature_that_was_taken_away_is_found(sharpened):
    grades, said = true_and_said(sharpened)
    assert best_temperature(grades, said) == pytest.approx(sharpened, rel=0.1)


def test_calibrated_probabilities_are_as_certain_as_they_are_right():
    grades, said = true_and_said(2.0)
    better = tempered(said, best_temperature(grades, said))
    before, after = (expected_calibration_error(grades, p) for p in (said, better))
    assert after < 0.03 < before
    np.testing.assert_array_equal(better.argmax(axis=1), said.argmax(axis=1))
