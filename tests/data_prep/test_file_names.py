"""All steps from DICOM to a training set read the same files, and report images that they skip."""

import cv2
import numpy as np
import pytest

pytest.importorskip("pydicom")
from dicom_files import write_dicom  # noqa: E402
from films_on_disk import account_of, read_rows, write_films  # noqa: E402

from knee_attention.films.image_files import read_image  # noqa: E402

FILM = (np.arange(40 * 60).reshape(40, 60) * 3 % 4096).astype(np.uint16)


def test_dicom_to_png_takes_files_without_preamble(tmp_path, run):
    path = write_dicom(tmp_path / "tree" / "001", FILM)
    path.write_bytes(path.read_bytes()[132:])
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and account_of(printed) == (1, 1, 0)
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
    assert code == 0 and account_of(printed) == (14, 12, 2)
    reasons = {row["source"][-4:]: row["reason"]
               for row in read_rows(tmp_path / "knees" / "excluded.csv")}  # fmt: skip
    assert reasons == {".gif": "a GIF image; this format is not supported",
                       "S013": "a DICOM file; convert it with data_prep/dicom_to_png.py"}

    rename(tmp_path / "knees", {"S002_R.png": "S002_R.dib", "S003_L.png": "S003_L.jpe"})
    (tmp_path / "knees" / "S004_R.heic").write_bytes(b"")
    code, printed = run("make_dataset", tmp_path / "knees", tmp_path / "films.csv",
                        tmp_path / "set", "--h5", tmp_path / "set.h5")
    assert code == 0 and account_of(printed) == (25, 24, 1)
    assert "a HEIC image; this format is not supported" in printed
    names = {row["file"].split("/")[-1] for row in read_rows(tmp_path / "set" / "manifest.csv")}
    assert {"S002_R.dib", "S003_L.jpe"} <= names
    assert run("make_dataset", "--verify", tmp_path / "set")[0] == 0
