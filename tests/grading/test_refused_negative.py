"""The reason for a refused negative says that the image was inverted."""

import cv2
import pytest
from uniform_network import Uniform

from knee_attention.errors import ImageError
from knee_attention.films.preparation import Preparation
from knee_attention.grading.grader import Grader
from knee_attention.phantoms.film import phantom_film

INVERTED = "(it is a photographic negative and was inverted first)"


@pytest.fixture(scope="module")
def knee():
    """Half of a film, which does not show both knees."""
    film = phantom_film((1, 3), 5, 256).image
    return film[:, : film.shape[1] // 2]


@pytest.mark.parametrize(("polarity", "inverted"), [("auto", True), ("as-is", False)])
def test_a_refused_negative_is_said_to_be_inverted(knee, tmp_path, polarity, inverted):
    grader = Grader(Uniform(Preparation()), polarity)
    cv2.imwrite(str(tmp_path / "film.png"), ~knee)
    for image in (~knee, tmp_path / "film.png"):
        with pytest.raises(ImageError) as refused:
            grader.grade(image, view="bilateral")
        assert refused.value.reason.endswith(INVERTED) == inverted


def test_a_refused_positive_is_not(knee):
    with pytest.raises(ImageError) as refused:
        Grader(Uniform(Preparation())).grade(knee, view="bilateral")
    assert "inverted" not in refused.value.reason
