"""Films with wide pixels become PNGs and knees with square pixels, and the tables record it.
"""

import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("pydicom")
from dicom_files import write_dicom  # noqa: E402
from films_on_disk import read_rows, write_films  # noqa: E402

from knee_attention.films.image_files import read_image  # noqa: E402


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
