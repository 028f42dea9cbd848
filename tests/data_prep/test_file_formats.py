"""Files of every format and their pixels, in all steps from DICOM to a training set."""

import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("pydicom")

from dicom_files import write_dicom  # noqa: E402
from stand_ins import read_rows, summary_counts, write_films  # noqa: E402

from knee_attention.films.image_files import read_image  # noqa: E402

FILM = (np.arange(40 * 60).reshape(40, 60) * 3 % 4096).astype(np.uint16)


def test_dicom_to_png_takes_files_without_preamble(tmp_path, run):
    path = write_dicom(tmp_path / "tree" / "001", FILM)
    path.write_bytes(path.read_bytes()[132:])
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and summary_counts(printed) == (1, 1, 0)
    [row] = read_rows(tmp_path / "films" / "images.csv")
    np.testing.assert_array_equal(read_image(tmp_path / "films" / row["file"]), FILM)


def rename(folder, names):
    """Rewrite the files in other formats, one per suffix."""
    for old, new in names.items():
        image = cv2.imread(str(folder / old), cv2.IMREAD_UNCHANGED)
        kind = ".bmp" if new.endswith(".dib") else ".jpg"
        (folder / new).write_bytes(cv2.imencode(kind, image)[1].tobytes())
        (folder / old).unlink()


def test_films_and_knees_are_read_by_every_name_of_their_format(tmp_path, run):
    write_films(tmp_path / "films", 12)
    rename(tmp_path / "films", {"S000.png": "S000.jfif", "S001.png": "S001.jpe"})
    (tmp_path / "films" / "S012.gif").write_bytes(b"GIF89a")
    write_dicom(tmp_path / "films" / "S013", FILM)
    code, printed = run("split_knees", tmp_path / "films", tmp_path / "knees")
    assert code == 0 and summary_counts(printed) == (14, 12, 2)
    reasons = {row["source"][-4:]: row["reason"]
               for row in read_rows(tmp_path / "knees" / "excluded.csv")}  # fmt: skip
    assert reasons == {".gif": "a GIF image; this format is not supported",
                       "S013": "a DICOM file; convert it with data_prep/dicom_to_png.py"}

    rename(tmp_path / "knees", {"S002_R.png": "S002_R.dib", "S003_L.png": "S003_L.jpe"})
    (tmp_path / "knees" / "S004_R.heic").write_bytes(b"")
    code, printed = run("make_dataset", tmp_path / "knees", tmp_path / "films.csv",
                        tmp_path / "set", "--h5", tmp_path / "set.h5")
    assert code == 0 and summary_counts(printed) == (25, 24, 1)
    assert "a HEIC image; this format is not supported" in printed
    names = {row["file"].split("/")[-1] for row in read_rows(tmp_path / "set" / "manifest.csv")}
    assert {"S002_R.dib", "S003_L.jpe"} <= names
    assert run("make_dataset", "--verify", tmp_path / "set")[0] == 0


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


def test_knees_are_cut_from_square_pixels_and_the_table_says_so(tmp_path, run):
    square, wide = tmp_path / "square", tmp_path / "wide"
    write_films(square, 1)
    film = read_image(square / "S000.png")
    content = cv2.imencode(".png", cv2.resize(film, None, fx=0.5, fy=1))[1].tobytes()
    data = b"pHYs" + struct.pack(">IIB", 100, 200, 0)
    chunk = struct.pack(">I", 9) + data + struct.pack(">I", zlib.crc32(data))
    wide.mkdir()
    (wide / "S000.png").write_bytes(content[:33] + chunk + content[33:])
    knees, aspects = [], []
    for folder in (square, wide):
        out = tmp_path / f"knees of {folder.name}"
        run("split_knees", folder, out, "--fit", "pad", "--equalize", "none")
        knees.append(read_image(out / "S000_R.png"))
        aspects.append([row["pixel_aspect"] for row in read_rows(out / "knees.csv")])
    assert np.corrcoef(knees[0].ravel(), knees[1].ravel())[0, 1] > 0.98
    assert aspects == [["", ""], ["0.5", "0.5"]]
