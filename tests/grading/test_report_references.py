"""A report refers to exactly its film: leading zeros in UIDs, and pixels that are not square."""

import json

import numpy as np
import pytest

highdicom = pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")

from pydicom import config, dcmread  # noqa: E402
from pydicom.uid import UID  # noqa: E402
from study_films import ALGORITHM, bright_knee_grader, study_film  # noqa: E402

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.errors import ImageError  # noqa: E402
from knee_attention.films.dicom.header import read_header  # noqa: E402
from knee_attention.films.inputs import FileInMemory  # noqa: E402
from knee_attention.grading.dicom.reports import reports_of, write_report  # noqa: E402
from knee_attention.grading.dicom.source import is_identifier  # noqa: E402

KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def film_with(path, **identifiers: str):
    """A film with UIDs that pydicom refuses to write by default."""
    dataset = dcmread(study_film(path))
    for keyword, identifier in identifiers.items():
        dataset[keyword].validation_mode = config.IGNORE
        dataset[keyword].value = UID(identifier, config.IGNORE)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("keywords", [*((keyword,) for keyword in KEYWORDS), KEYWORDS])
def test_leading_zeros_are_kept(tmp_path, keywords):
    identifiers = {key: f"1.2.0{number}.007.00" for number, key in enumerate(keywords, start=1)}
    film = film_with(tmp_path / "film.dcm", **identifiers)
    own = dcmread(film)
    assert read_header(film).uid == own.SOPInstanceUID
    knees = bright_knee_grader().grade(film)
    made = reports_of(FileInMemory("film", film.read_bytes()), knees, ALGORITHM)
    for name, report in (("sr.dcm", made.report), ("sc.dcm", made.picture)):
        write_report(tmp_path / name, report)
        read = dcmread(tmp_path / name)
        assert read.StudyInstanceUID == own.StudyInstanceUID
        assert read.SOPInstanceUID.is_valid and read.SeriesInstanceUID.is_valid
        assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID
    [evidence] = dcmread(tmp_path / "sr.dcm").CurrentRequestedProcedureEvidenceSequence
    [series] = evidence.ReferencedSeriesSequence
    assert evidence.StudyInstanceUID == own.StudyInstanceUID
    assert series.SeriesInstanceUID == own.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == own.SOPInstanceUID
    [referenced] = dcmread(tmp_path / "sc.dcm").SourceImageSequence
    assert referenced.ReferencedSOPInstanceUID == own.SOPInstanceUID
    # The content tree refers to the film, too.
    content = str(dcmread(tmp_path / "sr.dcm").ContentSequence)
    assert content.count(own.SOPInstanceUID) == len(knees)
    assert len(highdicom.sr.srread(tmp_path / "sr.dcm").content.get_image_measurement_groups()) == 2


def test_the_report_is_the_same_each_time_and_another_for_another_film(tmp_path):
    films = [film_with(tmp_path / f"{n}.dcm", SOPInstanceUID=uid)
             for n, uid in enumerate(("1.2.3", "1.02.3", "1.2.03"))]  # fmt: skip
    made = [reports_of(film, bright_knee_grader().grade(film), ALGORITHM).report.SOPInstanceUID
            for film in [*films, films[1]]]  # fmt: skip
    assert len(set(made)) == 3 and made[1] == made[3]


@pytest.mark.parametrize("identifier", ["", "1..2", "1.2.", "a.b", "1.2/../../3", "1." * 40 + "1"])
def test_what_is_no_identifier_is_refused(tmp_path, identifier):
    film = film_with(tmp_path / "film.dcm", StudyInstanceUID=identifier)
    with pytest.raises(ImageError, match="film.dcm: no valid StudyInstanceUID"):
        reports_of(film, [], ALGORITHM)


def test_digits_of_other_scripts_make_no_identifier():
    assert is_identifier("1.02") and not is_identifier("1.\u0662")


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
