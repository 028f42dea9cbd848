"""A film with pixels that are not square is resampled before grading, and the grade reports it."""

import json

import numpy as np
import pytest

highdicom = pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from study_films import ALGORITHM, bright_knee_grader, study_film  # noqa: E402

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.grading.dicom.reports import reports_of, write_report  # noqa: E402


def test_the_row_the_command_and_the_report_say_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("knee_attention.grading.grader.load_grader",
                        lambda *_: bright_knee_grader())  # fmt: skip
    (tmp_path / "model.onnx").write_bytes(b"model")
    film = study_film(tmp_path / "film.dcm", PixelAspectRatio=[4, 5])
    main(["grade", str(film), "--model", str(tmp_path / "model.onnx"), "--json"])
    shown = capsys.readouterr()
    assert {json.loads(line)["pixel_aspect"] for line in shown.out.splitlines()} == {0.8}
    assert "film.dcm: the pixels are not square (height 0.8 of the width)" in shown.err
    report = reports_of(film, bright_knee_grader().grade(film), ALGORITHM).report
    assert "NOTSQUARE" in str(report)


def test_a_joint_s_region_is_in_the_pixels_of_the_file(tmp_path):
    film = study_film(tmp_path / "film.dcm", PixelAspectRatio=[1, 2])
    joints = {"R": (40, 30, 80, 70)}
    made = reports_of(film, bright_knee_grader().grade(film), ALGORITHM, joints)
    write_report(tmp_path / "sr.dcm", made.report)
    report = highdicom.sr.srread(tmp_path / "sr.dcm")
    [right] = report.content.get_planar_roi_measurement_groups()
    np.testing.assert_allclose(right.roi.value[:3], [(20, 30), (40, 30), (40, 70)])
