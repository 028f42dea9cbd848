"""`grade --dicom`: the content of a film's report, its patient and study, and refusals."""

import json
import shutil
import subprocess
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

highdicom = pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from dicom_files import write_dicom  # noqa: E402
from pydicom import Dataset, dcmread  # noqa: E402
from stand_ins import SQUARE, Uniform  # noqa: E402
from study_films import ALGORITHM, bright_knee_grader, knees_at, study_film  # noqa: E402

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.errors import InputError  # noqa: E402
from knee_attention.films.dicom.geometry import (  # noqa: E402
    pixel_aspect_of,  # noqa: E402
    stored_box,
    upright,
)
from knee_attention.films.dicom.header import read_dataset  # noqa: E402
from knee_attention.films.dicom.pixels import read_film  # noqa: E402
from knee_attention.films.inputs import files_to_open  # noqa: E402
from knee_attention.films.pixel_aspect import square_pixels  # noqa: E402
from knee_attention.films.preparation import Preparation  # noqa: E402
from knee_attention.grading.dicom.algorithm import Algorithm  # noqa: E402
from knee_attention.grading.dicom.reports import (  # noqa: E402
    ReportFiles,
    reports_of,
    write_report,
)
from knee_attention.grading.grader import Grader  # noqa: E402
from knee_attention.networks.files.location import file_digest  # noqa: E402
from knee_attention.phantoms.film import phantom_film  # noqa: E402

FILED_BY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
    "StudyDate", "StudyTime", "AccessionNumber",
)  # fmt: skip


def written(film, folder, algorithm=ALGORITHM, boxes=None):
    """A film's report and picture, read from disk; with boxes, of the knees that they cut out."""
    knees = knees_at(film, boxes) if boxes else bright_knee_grader().grade(film)
    report, picture = reports_of(film, knees, algorithm)
    write_report(folder / "sr.dcm", report)
    write_report(folder / "sc.dcm", picture)
    return highdicom.sr.srread(folder / "sr.dcm"), dcmread(folder / "sc.dcm")


def groups(report):
    return report.content.get_image_measurement_groups()


def knee_row(group):
    """A measurement group as a row of `grade --json`."""
    site = group.finding_sites[0]
    [grade] = group.get_qualitative_evaluations(highdicom.sr.CodedConcept(
        "KL", "99KNEEATT", "Kellgren-Lawrence grade"))
    row = {"side": {"Right": "R", "Left": "L"}[site.laterality.meaning],
           "grade": int(grade.value.value.removeprefix("KL"))}
    for measurement in group.get_measurements():
        name, method = measurement.name.value, measurement.method.value
        key = {"MEAN": "expected_grade", "OA": "oa_probability", "LOWEST": "lowest",
               "HIGHEST": "highest", "COVERAGE": "coverage"}.get(name)
        row[key or f"{method}_p{name.removeprefix('P')}"] = measurement.value
    return row


@pytest.fixture
def bright_knee_model(monkeypatch, tmp_path):
    """A model file for `grade` that grades like `BrightKnee`."""

    def load(path, *_):
        grader = bright_knee_grader()
        grader.network.path, grader.network.digest = path, file_digest(path)
        return grader

    monkeypatch.setattr("knee_attention.grading.grader.load_grader", load)
    (tmp_path / "model.onnx").write_bytes(b"model")
    return tmp_path / "model.onnx"


def test_the_report_says_what_json_says(bright_knee_model, tmp_path, capsys):
    film = study_film(tmp_path / "films" / "film.dcm", 3)
    main(["grade", str(film), "--model", str(bright_knee_model), "--json",
          "--dicom", str(tmp_path / "out")])  # fmt: skip
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    report = highdicom.sr.srread(tmp_path / "out" / "film_sr.dcm")
    told = [knee_row(group) for group in groups(report)]
    for [group] in groups(report):
        kinds = [item.ValueType for item in group.ContentSequence]
        named = [item.ConceptNameCodeSequence[0].CodeValue for item in group.ContentSequence]
        assert named.index("KL") < kinds.index("NUM") and set(kinds[-17:]) == {"NUM"}
    assert [row["side"] for row in told] == ["R", "L"]
    for row, read in zip(rows, told, strict=True):
        assert len(read) == 2 + 3 + 2 + 15
        assert read.pop("side") == row["side"]
        assert read == pytest.approx({key: row[key] for key in read}, abs=0.0006)
        assert all(round(value, 3) == value for value in read.values())


def test_both_objects_lie_in_the_film_s_study(tmp_path):
    film = study_film(tmp_path / "film.dcm", PatientIdentityRemoved="YES",
                      DeidentificationMethod="by hand")
    source = dcmread(film)
    report, picture = written(film, tmp_path)
    for made in (report, picture):
        assert [made[name].value for name in FILED_BY] == [source[name].value for name in FILED_BY]
        assert made.DeidentificationMethod == "by hand"
        assert "research use only" in made.SeriesDescription
    assert len({source.SeriesInstanceUID, report.SeriesInstanceUID, picture.SeriesInstanceUID}) == 3
    [evidence] = report.CurrentRequestedProcedureEvidenceSequence
    [series] = evidence.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_picture_is_the_overlay_above_a_line(bright_knee_model, tmp_path):
    film = study_film(tmp_path / "film.dcm", 1)
    main(["grade", str(film), "--model", str(bright_knee_model), "--overlay", str(tmp_path / "png"),
          "--dicom", str(tmp_path / "out")])  # fmt: skip
    overlay = cv2.imread(str(tmp_path / "png" / "film.png"))[..., ::-1]
    shown = dcmread(tmp_path / "out" / "film_sc.dcm").pixel_array
    np.testing.assert_array_equal(shown[: len(overlay)], overlay)
    assert (shown[len(overlay) :] > 200).any()


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 144", "Люкceмбypг"),
     (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"), ("ISO_IR 192", "王^小东")],
)  # fmt: skip
def test_a_name_survives_whatever_the_film_s_character_set(tmp_path, charset, name):
    film = study_film(tmp_path / "film.dcm", SpecificCharacterSet=charset, PatientName=name)
    for made in written(film, tmp_path):
        assert str(made.PatientName) == name and made.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    "elements",
    [
        {},
        dict.fromkeys(["PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyTime",
                       "AccessionNumber", "StudyDate", "PatientID"]),
        {"PatientSex": "", "PatientBirthDate": "", "PatientName": "Doe"},
        {"PatientOrientation": ["F", "R"]},
    ],
    ids=["whole", "without names", "blank", "turned"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["joints known", "joints not known"])
def test_dciodvfy_finds_no_error(tmp_path, elements, place):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian dicom3tools) is not installed")
    film = study_film(tmp_path / "film.dcm", **elements)
    boxes = {"R": (20, 30, 40, 40), "L": (90, 30, 40, 40)} if place == "joints known" else None
    written(film, tmp_path, boxes=boxes)
    for name in ("sr.dcm", "sc.dcm"):
        said = subprocess.run(["dciodvfy", tmp_path / name], capture_output=True, text=True)
        assert said.returncode == 0 and "Error" not in said.stdout + said.stderr


@pytest.mark.parametrize("broken", [
    {"PatientBirthDate": "1950-xx"}, {"StudyTime": "noon"}, {"PatientSex": "female"},
    {"StudyDate": "x"},
])  # fmt: skip
def test_what_breaks_its_form_is_blank(tmp_path, broken):
    film = study_film(tmp_path / "film.dcm")
    [(keyword, text)] = broken.items()
    content = film.read_bytes()
    old = dcmread(film)[keyword].value.encode()
    head, found, tail = content.partition(
        dcmread(film)[keyword].tag.group.to_bytes(2, "little")
        + dcmread(film)[keyword].tag.element.to_bytes(2, "little")
    )
    assert found
    text = text.encode()[: len(old) + len(old) % 2].ljust(len(old) + len(old) % 2)
    film.write_bytes(head + found + tail[:4] + text + tail[4 + len(text) :])
    for made in written(film, tmp_path):
        assert not made[keyword].value and made.PatientID == "9000001"


def test_the_joint_s_region_is_in_the_film_s_own_pixels(tmp_path):
    stored = np.zeros((40, 56), np.uint16)
    stored[5:15, 20:26] = 4000
    for orientation in (["L", "F"], ["R", "F"], ["R", "H"], ["F", "L"], ["H", "R"], None):
        film = study_film(tmp_path / "film.dcm", PatientOrientation=orientation, Rows=40)
        dataset = dcmread(film)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.PixelData = stored.tobytes()
        dataset.save_as(film)
        rows, columns = np.nonzero(read_film(film) > 100)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert stored_box(box, read_dataset(film)) == (20, 5, 26, 15)


def test_a_known_joint_makes_a_planar_region(tmp_path):
    film = study_film(tmp_path / "film.dcm")
    report, _ = written(film, tmp_path, boxes={"L": (90, 30, 40, 40)})
    [left] = report.content.get_planar_roi_measurement_groups()
    assert knee_row(left)["side"] == "L"
    np.testing.assert_array_equal(left.roi.value[:3], [(90, 30), (130, 30), (130, 70)])
    report, _ = written(film, tmp_path)
    assert not report.content.get_planar_roi_measurement_groups() and len(groups(report)) == 2


def test_identifiers_follow_from_film_model_and_settings(tmp_path):
    films = [study_film(tmp_path / f"{seed}.dcm", seed) for seed in range(2)]
    others = [
        Algorithm("bright knee", "1" * 64, ALGORITHM.settings),
        Algorithm("bright knee", "0" * 64, ("polarity as-is", "view auto")),
    ]

    def uids(film, algorithm=ALGORITHM):
        made = written(film, tmp_path, algorithm)
        return [(one.SOPInstanceUID, one.SeriesInstanceUID) for one in made]

    assert uids(films[0]) == uids(films[0])
    made = [uids(films[1]), *(uids(films[0], algorithm) for algorithm in [ALGORITHM, *others])]
    assert len({uid for pairs in made for pair in pairs for uid in pair}) == 16


def test_a_film_given_twice_is_reported_once(bright_knee_model, tmp_path, capsys):
    first = study_film(tmp_path / "films" / "a.dcm")
    shutil.copy(first, tmp_path / "films" / "b.dcm")
    main(["grade", str(first.parent), "--model", str(bright_knee_model), "--dicom",
          str(tmp_path / "out")])  # fmt: skip
    assert f"not reported: {first.parent / 'b.dcm'}: the same SOPInstanceUID as {first}" in (
        capsys.readouterr().err
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_sc.dcm", "a_sr.dcm"]


def test_what_is_no_dicom_file_is_refused_before_anything_is_graded(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "film.png"), phantom_film((0, 1), seed=0, height=200).image)
    with pytest.raises(SystemExit) as ended:
        main(["grade", str(tmp_path / "film.png"), "--model", "none.onnx", "--dicom",
              str(tmp_path / "out")])  # fmt: skip
    said = capsys.readouterr().err
    assert ended.value.code == 2 and len(said.splitlines()) == 1
    assert "film.png: not a DICOM file, so it names no patient" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_film_without_a_study_is_graded_and_not_reported(
    bright_knee_model, tmp_path, capsys, missing
):
    film = study_film(tmp_path / "films" / "film.dcm", **{missing: None})
    with pytest.raises(SystemExit) as ended:
        main(["grade", str(film), "--model", str(bright_knee_model), "--dicom",
              str(tmp_path / "out")])  # fmt: skip
    shown = capsys.readouterr()
    assert ended.value.code == 2 and "no film could be reported" in shown.err
    assert f"not reported: {film}: no valid {missing}" in shown.err
    assert len(shown.out.splitlines()) >= 3


def test_a_report_for_which_there_is_no_room_is_one_sentence(tmp_path, full_disk):
    film = study_film(tmp_path / "film.dcm")
    knees = bright_knee_grader().grade(film)
    with full_disk(), pytest.raises(InputError, match="sr.dcm cannot be written: File too large"):
        ReportFiles(ALGORITHM).write(film, knees, tmp_path / "sr.dcm", tmp_path / "sc.dcm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.dcm"]


def test_reports_in_a_folder_of_films_are_passed_over(tmp_path):
    film = study_film(tmp_path / "film.dcm")
    named_alike = study_film(tmp_path / "patient_sc.dcm")
    report, picture = reports_of(film, bright_knee_grader().grade(film), ALGORITHM)
    write_report(tmp_path / "film_sr.dcm", report)
    write_report(tmp_path / "film_sc.dcm", picture)
    assert files_to_open([tmp_path]) == [film, named_alike]


@pytest.mark.parametrize("said", ["YES", "NO", None])
def test_what_is_burnt_into_the_film_is_burnt_into_its_picture(tmp_path, said):
    film = study_film(tmp_path / "film.dcm", BurnedInAnnotation=said)
    _, picture = reports_of(film, bright_knee_grader().grade(film), ALGORITHM)
    assert picture.BurnedInAnnotation == ("NO" if said == "NO" else "YES")


def test_a_jpeg_among_dicom_films_is_graded_and_listed(bright_knee_model, tmp_path, capsys):
    film = study_film(tmp_path / "films" / "film.dcm")
    cv2.imwrite(str(tmp_path / "films" / "a.jpg"), phantom_film((0, 1), seed=0, height=200).image)
    main(["grade", str(film.parent), "--model", str(bright_knee_model), "--json",
          "--dicom", str(tmp_path / "out")])  # fmt: skip
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 4
    assert f"not reported: {film.with_name('a.jpg')}: not a DICOM file" in shown.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "film_sc.dcm", "film_sr.dcm"
    ]  # fmt: skip


def test_info_prints_a_report_as_text(tmp_path, capsys, refused):
    film = study_film(tmp_path / "film.dcm", 3)
    knees = bright_knee_grader().grade(film)
    written(film, tmp_path)
    main(["info", str(tmp_path / "sr.dcm")])
    text = capsys.readouterr().out
    for part in ("patient        Doe^Jane", "Tracking Identifier: right knee",
                 f"Kellgren-Lawrence grade {knees[0].grade} (",
                 f"grade 0 (Output att0 of the network): {knees[0].branches['att0'][0]:.3f}"):
        assert part in text, part
    said = refused("info", tmp_path / "sc.dcm")
    assert said.endswith("sc.dcm: not a structured report, but Secondary Capture Image Storage")


def test_info_prints_a_report_of_other_software(tmp_path, capsys):
    """It has an item by reference, and a measurement without a value (PS3.3 C.17.3)."""
    written(study_film(tmp_path / "film.dcm", 3), tmp_path)
    report = dcmread(tmp_path / "sr.dcm")
    reference, measurement = Dataset(), Dataset()
    reference.RelationshipType = measurement.RelationshipType = "CONTAINS"
    reference.ReferencedContentItemIdentifier = [1, 1]
    measurement.ValueType, measurement.MeasuredValueSequence = "NUM", []
    measurement.ConceptNameCodeSequence = [highdicom.sr.CodedConcept("1", "99OTHER", "Length")]
    report.ContentSequence.extend([reference, measurement])
    report.save_as(tmp_path / "sr.dcm")
    main(["info", str(tmp_path / "sr.dcm")])
    assert capsys.readouterr().out.splitlines()[-2:] == ["  ", "  Length"]


@pytest.mark.parametrize("damage", [
    lambda number, image: number.MeasuredValueSequence[0].pop("NumericValue"),
    lambda number, image: number.MeasuredValueSequence.append(Dataset()),
    lambda number, image: number.ConceptNameCodeSequence[0].pop("CodeMeaning"),
    lambda number, image: image.pop("ReferencedSOPSequence"),
])  # fmt: skip
def test_info_refuses_a_damaged_report(tmp_path, refused, damage):
    written(study_film(tmp_path / "film.dcm", 3), tmp_path)
    report = dcmread(tmp_path / "sr.dcm")
    contents = [element.value for element in report.iterall()
                if element.keyword == "ContentSequence"]  # fmt: skip
    by_kind = {item.ValueType: item for content in contents for item in content}
    damage(by_kind["NUM"], by_kind["IMAGE"])
    report.save_as(tmp_path / "sr.dcm")
    assert refused("info", tmp_path / "sr.dcm").endswith("sr.dcm: a damaged structured report")


PLACE = {"FrameOfReferenceUID": "1.2.9", "PixelSpacing": [0.2, 0.2], "SliceThickness": 1,
         "ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}

X_Y_PLANE = [1, 0, 0, 0, 1, 0]
"""The plane in which OHIF assumes a film without a place, and over which it shows a map."""


@pytest.mark.parametrize(
    ("elements", "directions"),
    [({}, X_Y_PLANE), (PLACE, PLACE["ImageOrientationPatient"]),
     ({"PatientOrientation": ["H", "L"]}, [0, 0, 1, 1, 0, 0]),
     ({"FrameOfReferenceUID": "1.2.03"}, X_Y_PLANE),
     ({"PixelAspectRatio": [3, 2], "PatientOrientation": ["L", "F"]}, X_Y_PLANE)],
    ids=["plain", "placed", "turned", "frame of reference", "not square"],
)  # fmt: skip
def test_a_parametric_map_lies_over_the_film(tmp_path, elements, directions):
    """`Uniform` attends to the upper left of each knee, and to nothing else."""
    grader = Grader(Uniform(SQUARE))
    image = phantom_film((0, 4), seed=9011).image.astype(np.uint16) * 16
    turned = image.T[:, ::-1] if elements.get("PatientOrientation") == ["H", "L"] else image
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
    film = write_dicom(tmp_path / "film.dcm", np.ascontiguousarray(turned), **uids, **elements)
    knees = grader.grade(film)
    write_report(tmp_path / "pm.dcm", reports_of(film, knees, ALGORITHM, with_map=True)[-1])
    made = dcmread(tmp_path / "pm.dcm")
    for name in ("Rows", "Columns", "StudyInstanceUID"):
        assert made[name].value == dcmread(film)[name].value, name
    placed = made.FrameOfReferenceUID == elements.get("FrameOfReferenceUID")
    assert placed == (elements == PLACE)
    [frame] = made.PerFrameFunctionalGroupsSequence
    [derived] = frame.DerivationImageSequence[0].SourceImageSequence
    assert derived.ReferencedSOPInstanceUID == dcmread(film).SOPInstanceUID
    stored = made.pixel_array
    shown = square_pixels(upright(stored, dcmread(film)), pixel_aspect_of(dcmread(film)))
    expected = np.zeros(shown.shape, bool)
    for knee in knees:
        left, top, width, height = knee.place.box
        expected[top : top + height // 2, left : left + width // 2] = True
    assert stored.dtype == np.float32 and stored.max() == 1
    assert ((shown > 0.5) != expected).mean() < 0.01
    [plane] = made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    assert plane.ImageOrientationPatient == directions
    if shutil.which("dciodvfy"):
        said = subprocess.run(["dciodvfy", tmp_path / "pm.dcm"], capture_output=True, text=True)
        assert said.returncode == 0 and "Error" not in said.stdout + said.stderr


def test_a_map_needs_a_model_of_joint_crops(bright_knee_model, tmp_path, refused):
    film = study_film(tmp_path / "film.dcm")
    command = ("grade", film, "--model", bright_knee_model, "--parametric-map")
    assert "--parametric-map needs --dicom" in refused(*command)
    said = refused(*command, "--dicom", tmp_path / "out")
    assert "model.onnx: the model has no attention to map" in said
    for preparation, attention, reason in (
        (SQUARE, "local", None), (SQUARE, "none", "no attention to map"),
        (Preparation(), "local", "grades no crops of joints"),
    ):  # fmt: skip
        network = Uniform(preparation)
        network.path = "model.onnx"
        network.description |= {"branches": ["att0"], "attention": attention}
        with pytest.raises(InputError, match=reason) if reason else nullcontext():
            Grader(network).check_masks_fit_boxes()
