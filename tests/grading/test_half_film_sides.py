"""Half a film whose name or header gives its side is graded as that knee."""

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from uniform_network import SQUARE, Uniform

from knee_attention.films import network_input
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.joints import Joint
from knee_attention.grading.grader import Grader

FILM = np.random.default_rng(0).integers(0, 256, (200, 240), np.uint8)


@pytest.fixture(autouse=True)
def a_single_joint_with_a_side_by_its_place(monkeypatch):
    box = (130, 60, 80, 80)
    crop = JointCrop("L", FILM[60:140, 130:210], Joint(box, 0.9, "L"), box)
    monkeypatch.setattr(network_input, "joint_crops", lambda *_: [crop])


@pytest.mark.parametrize(("name", "side"), [("9001695_R.png", "R"), ("9001695_L.png", "L"),
                                            ("film.png", None)])
def test_by_its_name(tmp_path, name, side):
    cv2.imwrite(str(tmp_path / name), FILM)
    [knee] = Grader(Uniform(SQUARE)).grade(tmp_path / name)
    assert knee.side == side


@pytest.mark.parametrize("keyword", ["ImageLaterality", "Laterality"])
def test_by_its_header(tmp_path, keyword):
    pytest.importorskip("pydicom")
    film = FILM.astype(np.uint16) * 16
    write_dicom(tmp_path / "film_L.dcm", film, **{keyword: "R"})
    [knee] = Grader(Uniform(SQUARE)).grade(tmp_path / "film_L.dcm")
    assert knee.side == "R"
