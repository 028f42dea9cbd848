"""File names of knees are parsed in the same way everywhere."""

import numpy as np
import pytest

from knee_attention.data_prep.pairing import read_knee
from knee_attention.errors import ImageError
from knee_attention.films.image_files import write_image
from knee_attention.films.names import id_and_side, knee_name, side_of, subject_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9001695_R.png", ("9001695", "R")),
        ("3/9001695-L.webp", ("9001695", "L")),
        ("0/9001695L.png", ("9001695", "L")),
        ("PAT00_film_L.png", ("PAT00_film", "L")),
        ("KNEE-A_R.png", ("KNEE-A", "R")),
        ("9001695_20040101-2_R.png", ("9001695_20040101-2", "R")),
        ("ä_L", ("ä", "L")),
        ("FINAL.png", ("FINAL", None)),
        ("case-12.png", ("case-12", None)),
        ("LATERAL_9.png", ("LATERAL_9", None)),
        ("_R.png", ("_R", None)),
        ("R.png", ("R", None)),
        ("9001695_l.png", ("9001695_l", None)),
    ],
)
def test_the_grammar(name, expected, tmp_path):
    film, side = expected
    assert id_and_side(name) == expected
    assert side_of(name) == side and subject_of(name) == film
    path = tmp_path / f"{name.split('/')[-1].split('.')[0]}.png"
    write_image(path, np.eye(20, dtype=np.uint8))
    if side is not None:
        assert id_and_side(f"{knee_name(film, side)}.png") == expected
    if side is None:
        with pytest.raises(ImageError, match="does not end in _R or _L"):
            read_knee(path)
    else:
        [row] = read_knee(path)
        assert (row["id"], row["side"]) == expected
