"""Damaged files of every kind give a result or a known error, never a crash or a hang."""

import cv2
import numpy as np
import pytest
from stand_ins import Uniform

from knee_attention.errors import ImageError, InputError
from knee_attention.films.preparation import Preparation
from knee_attention.grading.grader import Grader, load_grader
from knee_attention.networks.files.model_files import layer_weights, read_description, save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.film import phantom_film

MUTATIONS = 200
HEADER = 4096
"""Bytes at the start of a file, most of its structure, which are changed more often."""


def mutations(content: bytes, count: int = MUTATIONS):
    """Copies of a file, truncated, or with bits flipped, bytes changed or a range replaced."""
    for seed in range(count):
        generator = np.random.default_rng(seed)
        changed = np.frombuffer(content, np.uint8).copy()
        reach = min(HEADER, changed.size) if generator.random() < 0.5 else changed.size
        places = generator.integers(reach, size=generator.integers(1, 12))
        kind = seed % 4
        if kind == 0:
            changed = changed[: places[0]]
        elif kind == 1:
            changed[places] ^= (1 << generator.integers(8, size=places.size)).astype(np.uint8)
        elif kind == 2:
            changed[places] = generator.integers(256, size=places.size)
        else:
            stretch = changed[places[0] : places[0] + generator.integers(1, 64)]
            stretch[:] = generator.integers(256, size=stretch.size)
        yield changed.tobytes()


def mutated_files(content, path, count=MUTATIONS):
    for changed in mutations(content, count):
        path.write_bytes(changed)
        yield path


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.h5"
    save_model(build_model("antony_clsf", ("att0",), "single", (96, 96)), path, {"chosen": "att0"})
    return path


def graded_or_refused(paths):
    """The numbers of graded files and of files refused by an ImageError."""
    graded = refused = 0
    grader = Grader(Uniform(Preparation()))
    for path in paths:
        [(_, knees)] = grader.grade_all([path])
        if isinstance(knees, ImageError):
            assert str(path) in str(knees) and "\n" not in str(knees)
            refused += 1
        else:
            assert all(knee.image.shape == (96, 96) for knee in knees)
            graded += 1
    return graded, refused


def test_damaged_png(tmp_path):
    content = cv2.imencode(".png", phantom_film((1, 2), seed=0, height=128).image)[1].tobytes()
    graded, refused = graded_or_refused(mutated_files(content, tmp_path / "film.png"))
    assert graded + refused == MUTATIONS and refused > MUTATIONS / 4


def test_damaged_dicom(tmp_path):
    pytest.importorskip("pydicom")
    from dicom_files import write_dicom

    film = phantom_film((1, 2), seed=0, height=128).image.astype(np.uint16) * 16
    count = MUTATIONS // 2
    for compression in (None, "1.2.840.10008.1.2.5"):
        path = write_dicom(tmp_path / "whole.dcm", film, compression=compression)
        graded, refused = graded_or_refused(
            mutated_files(path.read_bytes(), tmp_path / "film.dcm", count)
        )
        assert graded + refused == count and refused > count / 8


def test_damaged_model_files(model_file, tmp_path):
    readable = 0
    for path in mutated_files(model_file.read_bytes(), tmp_path / "model.h5"):
        try:
            description, weights = read_description(path), layer_weights(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            continue
        readable += 1
        assert description["backbone"] == "antony_clsf" and isinstance(weights, dict)
    assert 0 < readable < MUTATIONS


def test_damaged_model_files_to_the_grader(model_file, tmp_path):
    loaded = 0
    for path in mutated_files(model_file.read_bytes(), tmp_path / "model.h5", 30):
        try:
            grader = load_grader(path)
        except InputError:
            continue
        loaded += 1
        try:
            [knee] = grader.grade(np.random.default_rng(0).integers(0, 256, (96, 96)))
        except ImageError as error:
            assert "not a finite number" in str(error)
            continue
        assert knee.branches["att0"].shape == (5,)
    assert loaded
