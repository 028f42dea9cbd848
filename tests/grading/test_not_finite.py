"""A film with NaN or values of a wrong shape gets no grade; other films are graded."""

import numpy as np
import pytest
from uniform_network import Uniform

from knee_attention.errors import ImageError, InputError
from knee_attention.films.preparation import Preparation
from knee_attention.grading.grader import Grader
from knee_attention.phantoms.film import phantom_film

PLAIN = Preparation()


@pytest.fixture(scope="module")
def film():
    return phantom_film((0, 4), seed=3, height=200).image


class Faulty(Uniform):
    """A uniform network that changes its values for some positions of a batch."""

    def __init__(self, change, output="att0"):
        super().__init__(PLAIN)
        self.change, self.output = change, output

    def __call__(self, images):
        values = super().__call__(images)
        values[self.output] = self.change(values[self.output])
        return values


def not_finite(value):
    def change(values):
        values[2, ...] = value  # the right knee of the second film
        return values

    return change


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("output", ["att0", "att0_mask"])
def test_a_film_without_a_finite_output_is_named_and_the_rest_graded(film, value, output):
    grader = Grader(Faulty(not_finite(value), output))
    first, (image, refused), third = grader.grade_all([film, film, film])
    assert image is film and isinstance(refused, ImageError) and refused.passing
    assert "not a finite number" in str(refused) and str(refused).startswith("the image: ")
    for _, knees in (first, third):
        assert [knee.side for knee in knees] == ["R", "L"]


@pytest.mark.parametrize("change", [
    lambda values: values[:, :4],
    lambda values: values[:, :, np.newaxis],
    lambda values: values[:1],
    lambda values: values - 1,
], ids=["four grades", "another rank", "one row", "no probabilities"])  # fmt: skip
def test_values_that_are_no_grades_are_refused(film, change):
    with pytest.raises(ImageError, match="the image: .*(five prob|sum to one|for 2 knees)"):
        Grader(Faulty(change)).grade(film)


def test_a_network_that_fails_is_the_reason_for_every_film(film):
    def fail(_):
        raise InputError("model.onnx: OpenCV cannot run its graph")

    for _, refused in Grader(Faulty(fail)).grade_all([film, film]):
        assert refused.passing and refused.reason == "model.onnx: OpenCV cannot run its graph"
