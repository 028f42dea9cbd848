from collections import Counter

import cv2
import numpy as np
import pytest

pytest.importorskip("pydicom")
from dicom_files import write_dicom  # noqa: E402
from pydicom import dcmread  # noqa: E402
from pydicom.uid import JPEG2000Lossless, RLELossless  # noqa: E402
from stand_ins import read_rows, summary_counts  # noqa: E402

from knee_attention.data_prep import dicom_trees  # noqa: E402
from knee_attention.data_prep.dicom_trees import name_films  # noqa: E402
from knee_attention.errors import ImageError  # noqa: E402
from knee_attention.films.dicom import pixels  # noqa: E402
from knee_attention.films.dicom.pixels import read_film  # noqa: E402
from knee_attention.films.image_files import read_image  # noqa: E402

STORED = np.random.default_rng(0).integers(0, 4096, (40, 56)).astype(np.uint16)


@pytest.mark.parametrize("compression", [None, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_stored_values_are_kept_and_monochrome1_is_inverted(
    tmp_path, compression, bits, photometric
):
    if compression == JPEG2000Lossless:
        pytest.importorskip("openjpeg")
    stored = STORED * 16 + 15 if bits == 16 else STORED
    path = write_dicom(tmp_path / "001", stored, bits, photometric, compression)
    film = read_film(path)
    assert film.dtype == np.uint16
    expected = (2**bits - 1) - stored if photometric == "MONOCHROME1" else stored
    np.testing.assert_array_equal(film, expected)


def test_rescaled_values(tmp_path):
    def film(**elements):
        return read_film(write_dicom(tmp_path / "001", STORED, **elements))

    np.testing.assert_array_equal(film(RescaleSlope=2, RescaleIntercept=10), 2 * STORED + 10)
    np.testing.assert_array_equal(film(RescaleSlope=1, RescaleIntercept=-1024), STORED)
    inverted = film(RescaleSlope=1, RescaleIntercept=100, photometric="MONOCHROME1")
    np.testing.assert_array_equal(inverted, 4095 + 200 - (STORED + 100))
    halves = film(RescaleSlope=0.5, RescaleIntercept=0)
    np.testing.assert_array_equal(halves, np.rint(STORED * (65535 / 4095)))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_window(tmp_path, photometric):
    path = write_dicom(
        tmp_path / "001", STORED, photometric=photometric, WindowCenter=2000, WindowWidth=1000
    )
    # PS3.3 C.11.2.1.2.1
    linear = ((STORED - 1999.5) / 999 + 0.5) * 4095
    expected = np.where(STORED <= 1500, 0, np.where(STORED > 2499, 4095, linear))
    expected = 4095 - expected if photometric == "MONOCHROME1" else expected
    np.testing.assert_array_equal(read_film(path), np.rint(expected))


@pytest.fixture
def tree(tmp_path):
    """A tree like OAI's with three films and other files."""
    tree = tmp_path / "trée with spaces"
    visit = tree / "00m" / "0.C.2"

    def film(subject, **elements):
        path = visit / subject / "20040101" / f"0{subject[-7:]}" / "001"
        return write_dicom(path, STORED, PatientID=subject, **elements)

    film("9000001", ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[0.1, 0.1])
    film("9000002", photometric="MONOCHROME1", compression=RLELossless)
    film("9000003", PixelSpacing=[0.15, 0.15], SeriesDescription=None, ViewPosition="PA")
    write_dicom(visit / "mr" / "001", STORED, Modality="MR", SeriesDescription="SAG 3D DESS")
    write_dicom(visit / "lateral" / "001", STORED, SeriesDescription=None, ViewPosition="LL")
    write_dicom(visit / "hand" / "001", STORED, SeriesDescription="PA Hand")
    write_dicom(visit / "report" / "001", None)
    whole = write_dicom(visit / "whole" / "001", STORED, PatientID="9000004")
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 2 // 3])
    (tree / "notes.txt").write_text("no DICOM\n" * 100, encoding="utf-8")
    (tree / "empty").write_bytes(b"")
    return tree


def test_a_tree_is_converted_and_every_file_accounted_for(tree, tmp_path, run):
    out = tmp_path / "films"
    code, printed = run("dicom_to_png", tree, out)
    assert code == 0
    assert summary_counts(printed) == (10, 3, 7)
    reasons = Counter(row["reason"] for row in read_rows(out / "excluded.csv"))
    assert reasons == {
        "not a radiograph: modality MR": 1,
        "another view: LL": 1,
        "another series: PA Hand": 1,
        "a DICOM file without pixels": 1,
        "a damaged or truncated DICOM file": 1,
        "not a DICOM file": 1,
        "the file is empty": 1,
    }
    rows = {row["id"]: row for row in read_rows(out / "images.csv")}
    assert sorted(rows) == [f"900000{k}_01660900000{k}" for k in (1, 2, 3)]
    assert [row["row_spacing_mm"] for _, row in sorted(rows.items())] == ["0.2", "", "0.15"]
    assert "without pixel spacing: 1" in printed
    second = rows["9000002_016609000002"]
    assert (second["subject"], second["date"], second["bits"]) == ("9000002", "20040101", "16")
    png = cv2.imread(str(out / second["file"]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(png, 4095 - STORED)


def test_a_second_run_opens_nothing(tree, tmp_path, run, monkeypatch):
    run("dicom_to_png", tree, tmp_path / "films")
    before = (tmp_path / "films" / "images.csv").read_text()
    monkeypatch.setattr("pydicom.dcmread", None)
    code, printed = run("dicom_to_png", tree, tmp_path / "films")
    assert code == 0 and "3 of them by an earlier run" in printed
    assert (tmp_path / "films" / "images.csv").read_text() == before


def test_contents_csv_names_what_the_files_do_not(tmp_path, run):
    visit = tmp_path / "tree" / "0.C.2"
    lines = ["Folder,ParticipantID,StudyDate,Barcode,StudyDescription,SeriesDescription"]
    for number, series in enumerate(("Bilateral PA Fixed Flexion Knee", "PA Left Hand"), start=1):
        folder = f"9000001/20040101/0000000{number}"
        write_dicom(visit / folder / "001", STORED, PatientID="x", SeriesDescription=None)
        barcode = f"1660000000{number}"  # spreadsheets drop the leading zero
        lines.append(f"{folder},9000001,2004-01-01,{barcode},X-RAY,{series}")
    (visit / "contents.csv").write_text("\n".join(lines), encoding="utf-8")
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "out")
    assert code == 0 and summary_counts(printed) == (2, 1, 1)
    (row,) = read_rows(tmp_path / "out" / "images.csv")
    assert (row["id"], row["date"]) == ("9000001_016600000001", "20040101")


def test_the_visits_of_most_are_those_of_its_tables(tmp_path, run):
    for number, folder in enumerate(("V0/14608/PA15", "V3/24608/PA15", "V5/34608/PA10")):
        write_dicom(tmp_path / "most" / "M2320_HNSH" / folder / "1", STORED, PatientID="HNSH",
                    StudyDate=f"200{number}0101", SeriesDescription=None)  # fmt: skip
    films, labels = tmp_path / "films", tmp_path / "labels.csv"
    assert run("dicom_to_png", tmp_path / "most", films)[0] == 0
    rows = read_rows(films / "images.csv")
    assert [(row["id"], row["subject"]) for row in rows] == [
        (f"M2320_V{visit}", "M2320") for visit in (0, 3, 5)
    ]
    table = "MOSTID\tV0XRKL\tV0XLKL\tV3XRKL\tV3XLKL\nM2320\t0\t1\t2\t3\n"
    (tmp_path / "MOSTV01235XRAY.txt").write_text(table)
    run("make_labels", tmp_path / "MOSTV01235XRAY.txt", labels)
    assert {row["id"] for row in read_rows(labels)} == {"M2320_V0", "M2320_V3"}


def test_what_may_pass_is_tried_again(tmp_path, run, monkeypatch):
    write_dicom(tmp_path / "tree" / "a", STORED, PatientID="A", compression=RLELossless)
    write_dicom(tmp_path / "tree" / "b", STORED, PatientID="B")
    whole = pixels.decoded

    def decoded(dataset):
        if dataset.file_meta.TransferSyntaxUID == RLELossless:
            raise RuntimeError("missing dependencies")
        return whole(dataset)

    with monkeypatch.context() as without:
        without.setattr(pixels, "decoded", decoded)
        code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (2, 1, 1) and "needs a decoder" in printed
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (2, 2, 0)


def test_films_of_an_earlier_tree_stay_in_the_table(tmp_path, run):
    for name in ("A", "B"):
        write_dicom(tmp_path / name / "1", STORED, PatientID=name)
        run("dicom_to_png", tmp_path / name, tmp_path / "films")
    rows = read_rows(tmp_path / "films" / "images.csv")
    assert sorted(row["subject"] for row in rows) == ["A", "B"]


def test_a_film_of_another_tree_does_not_replace_the_film_of_the_same_id(tmp_path, run):
    for name, stored in (("A", STORED), ("B", 4095 - STORED)):
        write_dicom(tmp_path / name / "1", stored)
        write_dicom(tmp_path / name / "2", stored, PatientID=name)
        code, printed = run("dicom_to_png", tmp_path / name, tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (2, 1, 1)
    assert "1  a film of another folder has the same id" in printed
    np.testing.assert_array_equal(read_image(tmp_path / "films" / "9000001_20040101.png"), STORED)
    assert len(read_rows(tmp_path / "films" / "images.csv")) == 3


def test_films_of_one_tree_may_exchange_their_ids(tmp_path, run):
    """A new film whose UID comes first takes the id without a number."""
    tree = tmp_path / "tree"
    for number in (2, 1):
        write_dicom(tree / str(number), STORED + number, SOPInstanceUID=f"1.2.{number}")
        code, printed = run("dicom_to_png", tree, tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (2, 2, 0)
    np.testing.assert_array_equal(
        read_image(tmp_path / "films" / "9000001_20040101.png"), STORED + 1
    )


@pytest.mark.parametrize("step", ["read_header", "read_film"])
def test_a_temporary_error_removes_no_film(tmp_path, run, monkeypatch, step):
    for name in ("A", "B"):
        write_dicom(tmp_path / "tree" / name, STORED, PatientID=name)
    run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    (tmp_path / "tree" / "B").touch()
    whole = getattr(dicom_trees, step)

    def fail_for_b(source):
        if source.name == "B":
            raise ImageError(source, "Input/output error", temporary=True)
        return whole(source)

    monkeypatch.setattr(dicom_trees, step, fail_for_b)
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (2, 1, 1)
    assert len(list((tmp_path / "films").glob("*.png"))) == 2
    assert len(read_rows(tmp_path / "films" / "images.csv")) == 2


def test_a_header_of_two_heights_is_one_file_left_out(tmp_path, run):
    write_dicom(tmp_path / "tree" / "whole", STORED)
    damaged = dcmread(write_dicom(tmp_path / "tree" / "damaged", STORED, PatientID="2"))
    damaged.Rows = [40, 40]
    damaged.save_as(tmp_path / "tree" / "damaged")
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (2, 1, 1)


def test_copies_of_an_image_are_one_and_different_films_of_a_day_two(tmp_path, run):
    whole = write_dicom(tmp_path / "tree" / "b.dcm", STORED)
    (tmp_path / "tree" / "a.dcm").write_bytes(whole.read_bytes()[:-100])
    write_dicom(tmp_path / "tree" / "c.dcm", STORED)
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "out", "--bits", 8)
    assert code == 0 and summary_counts(printed) == (3, 2, 1)
    rows = read_rows(tmp_path / "out" / "images.csv")
    assert sorted(row["id"] for row in rows) == ["9000001_20040101", "9000001_20040101-2"]
    image = cv2.imread(str(tmp_path / "out" / rows[0]["file"]), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint8 and (image.min(), image.max()) == (0, 255)


@pytest.mark.parametrize(
    ("accessions", "ids"),
    [
        (["A", "A", "A-2"], ["P_A", "P_A-2", "P_A-3"]),
        (["A-2", "A", "A"], ["P_A", "P_A-2", "P_A-3"]),
        (["A", "A", "A/2", "A 2"], ["P_A", "P_A-2", "P_A-2-2", "P_A-3"]),
    ],
)
def test_ids_are_unique_whatever_the_accession_numbers(accessions, ids):
    films = [{"subject": "P", "barcode": accession, "date": "", "uid": str(number), "bytes": 1,
              "source": str(number)} for number, accession in enumerate(accessions)]
    named, left_out = name_films(films)
    assert sorted(film["id"] for film in named) == ids and not left_out
    own = {film["barcode"]: film["id"] for film in named if film["barcode"] != "A"}
    assert own.get("A-2", "P_A-2") == "P_A-2"  # an id that the labels may use is kept


def test_filters(tree, tmp_path, run):
    code, printed = run("dicom_to_png", tree, tmp_path / "hands", "--series", "hand")
    assert code == 0 and summary_counts(printed)[:2] == (10, 1)
    code, printed = run("dicom_to_png", tree, tmp_path / "bad", "--series", "(")
    assert code == 2 and printed.count("\n") == 1


def test_nothing_to_take_is_said_in_a_sentence(tmp_path, run):
    code, printed = run("dicom_to_png", tmp_path / "nowhere", tmp_path / "out")
    assert code == 2 and printed.strip().endswith("is not a folder")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    code, printed = run("dicom_to_png", tmp_path / "texts", tmp_path / "out")
    assert code == 2 and "no radiograph could be converted" in printed


def test_persons_of_one_most_folder_are_two_subjects_and_mb_ids_keep_their_visit(tmp_path, run):
    tree = tmp_path / "most"
    for folders, patient in (("M2320_HNSH/V0/1", "P1"), ("M2320_HNSH/V0/2", "P2"),
                             ("MB00001_ABCD/V0/3", "ABCD"), ("MB00001_ABCD/V1/4", "")):  # fmt: skip
        write_dicom(tree / folders / "PA15" / "1", STORED, PatientID=patient,
                    SeriesDescription=None)  # fmt: skip
    code, printed = run("dicom_to_png", tree, tmp_path / "films")
    assert code == 0
    said = "PatientID differs from the folder or contents.csv for 2 of 4 films (the first: "
    assert f"{said}{tree}" in printed
    assert "PatientID P1, assigned to P1)" in printed
    rows = read_rows(tmp_path / "films" / "images.csv")
    assert {row["id"]: row["subject"] for row in rows} == {
        "P1_V0": "P1", "P2_V0": "P2", "MB00001_V0": "MB00001", "MB00001_V1": "MB00001",
    }  # fmt: skip
    table = "MOSTID\tV0XRKL\tV0XLKL\tV1XRKL\tV1XLKL\nMB00001\t0\t1\t1.9\t8\nMB00002\t2\t3\t2\t3\n"
    (tmp_path / "MOSTV01235XRAY.txt").write_text(table)
    run("make_labels", tmp_path / "MOSTV01235XRAY.txt", tmp_path / "labels.csv")
    labels = {row["id"] for row in read_rows(tmp_path / "labels.csv")}
    assert labels & {row["id"] for row in rows} == {"MB00001_V0"}


def test_files_without_preamble_are_taken(tmp_path, run):
    path = write_dicom(tmp_path / "tree" / "001", STORED)
    path.write_bytes(path.read_bytes()[132:])
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (1, 1, 0)
    [row] = read_rows(tmp_path / "films" / "images.csv")
    np.testing.assert_array_equal(read_image(tmp_path / "films" / row["file"]), STORED)


def test_images_csv_has_the_spacing_of_the_png_and_the_aspect_of_the_film(tmp_path, run):
    pixels = np.random.default_rng(0).integers(0, 4096, (60, 40)).astype(np.uint16)
    write_dicom(tmp_path / "tree" / "1", pixels, PatientID="1", ImagerPixelSpacing=[0.1, 0.2])
    write_dicom(tmp_path / "tree" / "2", pixels, PatientID="2", ImagerPixelSpacing=[0.1, 0.1])
    assert run("dicom_to_png", tmp_path / "tree", tmp_path / "films")[0] == 0
    said = ("height", "width", "row_spacing_mm", "column_spacing_mm", "pixel_aspect")
    rows = read_rows(tmp_path / "films" / "images.csv")
    assert [[row[name] for name in said] for row in rows] == [
        ["60", "80", "0.1", "0.1", "0.5"], ["60", "40", "0.1", "0.1", ""],
    ]  # fmt: skip
    assert read_image(tmp_path / "films" / rows[0]["file"]).shape == (60, 80)
