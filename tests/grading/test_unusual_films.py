"""Films with a uniform border, halves that give their side, and negatives that are refused."""

import csv
import json

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from stand_ins import SIZE, SQUARE, Uniform

from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import ImageError
from knee_attention.films import network_input
from knee_attention.films.cutting import Cutting
from knee_attention.films.joint_crops import JointCrop
from knee_attention.films.joints import Joint
from knee_attention.films.preparation import Preparation
from knee_attention.grading.grader import Grader
from knee_attention.grading.rows import columns, csv_row, knee_row
from knee_attention.phantoms.film import phantom_film

highdicom = pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")

from pydicom import config, dcmread  # noqa: E402
from pydicom.uid import UID  # noqa: E402
from study_films import ALGORITHM, bright_knee_grader, knees_at, study_film  # noqa: E402

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.films.dicom.header import read_header  # noqa: E402
from knee_attention.films.inputs import FileInMemory  # noqa: E402
from knee_attention.grading.dicom.reports import reports_of, write_report  # noqa: E402
from knee_attention.grading.dicom.source import is_identifier  # noqa: E402

BORDERS = (9, 9, 14, 14)
TRIMMED = [14, 9, 14, 9]


def framed(image, grey=0, borders=BORDERS):
    return cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=grey)


@pytest.fixture(scope="module")
def film():
    return phantom_film((1, 3), seed=9041).image


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("preparation", [SQUARE, Preparation()], ids=["joints", "halves"])
def test_a_framed_film_is_graded_as_the_film(film, preparation, grey):
    grader = Grader(Uniform(preparation))
    plain, others = grader.grade(film), grader.grade(framed(film, grey))
    assert len(plain) == len(others) == 2
    for knee, other in zip(plain, others, strict=True):
        np.testing.assert_array_equal(knee.image, other.image)
        assert not knee.frame and other.frame.pixels == TRIMMED
        if knee.box:
            left, top, *size = knee.box
            assert other.box == (left + 14, top + 9, *size)
            assert other.place.film.shape == framed(film).shape


def test_a_framed_crop_is_graded_as_the_crop(film):
    grader = Grader(Uniform(SQUARE))
    left, top, width, height = grader.grade(film)[0].box
    crop = film[top : top + height, left : left + width]
    [plain], [other] = grader.grade(crop, "crop"), grader.grade(framed(crop), "crop")
    np.testing.assert_array_equal(plain.image, other.image)
    row = knee_row("film.png", other, False)
    assert row["trimmed"] == TRIMMED and set(csv_row(row)) <= set(columns(["att0"]))
    assert knee_row("film.png", plain, False)["trimmed"] is None
    json.dumps(row)


@pytest.mark.parametrize("crop", ["half", "square"])
def test_split_knees_cuts_a_framed_film_as_the_film_and_says_so(film, tmp_path, crop):
    cutting = Cutting(size=(96, 96), crop=crop)
    rows = {}
    for name, image in (("plain", film), ("framed", framed(film))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
        rows[name] = Cutter(tmp_path / "knees", cutting)(tmp_path / f"{name}.png")
    for plain, other in zip(rows["plain"], rows["framed"], strict=True):
        knee, same = ((tmp_path / "knees" / row["file"]).read_bytes() for row in (plain, other))
        assert knee == same
        assert (plain["trimmed"], other["trimmed"]) == ("", "14 9 14 9")
        if crop == "square":
            assert (other["x"], other["y"]) == (plain["x"] + 14, plain["y"] + 9)


def test_a_data_set_of_framed_crops_is_learnt_from_as_one_of_crops(film, tmp_path):
    crop = film[150:300, 100:250]
    for split in ("train", "validation"):
        for name, image in (("a", crop), ("b", framed(crop))):
            place = tmp_path / split / "0" / f"{split}{name}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), image)
    data = load_dataset(tmp_path, SIZE)
    for split, knees in data.splits.items():
        np.testing.assert_array_equal(knees.images[0], knees.images[1])
        assert knees.trimmed == [f"{split}/0/{split}b.png"]
    assert len(data.trimmed) == 2


def test_a_command_says_what_it_took_off(film, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("knee_attention.grading.grader.load_grader",
                        lambda *_: Grader(Uniform(SQUARE)))  # fmt: skip
    (tmp_path / "model.onnx").write_bytes(b"model")
    cv2.imwrite(str(tmp_path / "film.png"), framed(film))
    main(["grade", str(tmp_path / "film.png"), "--model", str(tmp_path / "model.onnx"),
          "--csv", str(tmp_path / "table.csv")])
    assert "film.png: cropped off a uniform border" in capsys.readouterr().err
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [row["trimmed"] for row in csv.DictReader(file)] == ["14 9 14 9"] * 2


FILM = np.random.default_rng(0).integers(0, 256, (200, 240), np.uint8)


@pytest.fixture
def a_single_joint_with_a_side_by_its_place(monkeypatch):
    box = (130, 60, 80, 80)
    crop = JointCrop("L", FILM[60:140, 130:210], Joint(box, 0.9, "L"), box)
    monkeypatch.setattr(network_input, "joint_crops", lambda *_: [crop])


@pytest.mark.usefixtures("a_single_joint_with_a_side_by_its_place")
@pytest.mark.parametrize(("name", "side"), [("9001695_R.png", "R"), ("9001695_L.png", "L"),
                                            ("film.png", None)])
def test_a_single_joint_has_the_side_of_the_file_name(tmp_path, name, side):
    cv2.imwrite(str(tmp_path / name), FILM)
    [knee] = Grader(Uniform(SQUARE)).grade(tmp_path / name)
    assert knee.side == side


@pytest.mark.usefixtures("a_single_joint_with_a_side_by_its_place")
def test_a_single_joint_has_the_side_of_the_header(tmp_path):
    film = FILM.astype(np.uint16) * 16
    write_dicom(tmp_path / "film_L.dcm", film, ImageLaterality="R")
    [knee] = Grader(Uniform(SQUARE)).grade(tmp_path / "film_L.dcm")
    assert knee.side == "R"


INVERTED = "(it is a photographic negative and was inverted first)"


@pytest.fixture(scope="module")
def knee():
    """Half of a film, which does not show both knees."""
    film = phantom_film((1, 3), 5, 256).image
    return film[:, : film.shape[1] // 2]


@pytest.mark.parametrize(("polarity", "inverted"), [("auto", True), ("as-is", False)])
def test_a_refused_negative_is_reported_as_inverted(knee, tmp_path, polarity, inverted):
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
def test_uids_with_leading_zeros_are_kept(tmp_path, keywords):
    identifiers = {key: f"1.2.0{number}.007.00" for number, key in enumerate(keywords, start=1)}
    film = film_with(tmp_path / "film.dcm", **identifiers)
    own = dcmread(film)
    assert read_header(film).uid == own.SOPInstanceUID
    knees = bright_knee_grader().grade(film)
    reports = reports_of(FileInMemory("film", film.read_bytes()), knees, ALGORITHM)
    for name, report in zip(("sr.dcm", "sc.dcm"), reports, strict=True):
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
    made = [reports_of(film, bright_knee_grader().grade(film), ALGORITHM)[0].SOPInstanceUID
            for film in [*films, films[1]]]  # fmt: skip
    assert len(set(made)) == 3 and made[1] == made[3]


@pytest.mark.parametrize("identifier", ["", "1..2", "1.2.", "a.b", "1.2/../../3", "1." * 40 + "1"])
def test_what_is_no_identifier_is_refused(tmp_path, identifier):
    film = film_with(tmp_path / "film.dcm", StudyInstanceUID=identifier)
    with pytest.raises(ImageError, match="film.dcm: no valid StudyInstanceUID"):
        reports_of(film, [], ALGORITHM)


def test_digits_of_other_scripts_make_no_identifier():
    assert is_identifier("1.02") and not is_identifier("1.\u0662")


def test_row_command_and_report_state_the_pixel_aspect(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("knee_attention.grading.grader.load_grader",
                        lambda *_: bright_knee_grader())  # fmt: skip
    (tmp_path / "model.onnx").write_bytes(b"model")
    film = study_film(tmp_path / "film.dcm", PixelAspectRatio=[4, 5])
    main(["grade", str(film), "--model", str(tmp_path / "model.onnx"), "--json"])
    shown = capsys.readouterr()
    assert {json.loads(line)["pixel_aspect"] for line in shown.out.splitlines()} == {0.8}
    assert "film.dcm: the pixels are not square (height 0.8 of the width)" in shown.err
    report, _ = reports_of(film, bright_knee_grader().grade(film), ALGORITHM)
    assert "NOTSQUARE" in str(report)


def test_a_joint_s_region_is_in_the_pixels_of_the_file(tmp_path):
    film = study_film(tmp_path / "film.dcm", PixelAspectRatio=[1, 2])
    [right] = [knee for knee in knees_at(film, {"R": (40, 30, 40, 40)}) if knee.side == "R"]
    write_report(tmp_path / "sr.dcm", reports_of(film, [right], ALGORITHM)[0])
    report = highdicom.sr.srread(tmp_path / "sr.dcm")
    [group] = report.content.get_planar_roi_measurement_groups()
    np.testing.assert_allclose(group.roi.value[:3], [(20, 30), (40, 30), (40, 70)])
