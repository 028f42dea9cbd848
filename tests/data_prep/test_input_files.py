"""Files below a folder are listed once and read by every name of their format; those that cannot be
used are excluded with the reason.
"""

import os

import cv2
import numpy as np
import pytest
from stand_ins import read_rows, summary_counts, write_films

from knee_attention.data_prep.workers import visible_files
from knee_attention.errors import InputError
from knee_attention.films.image_files import write_image
from knee_attention.films.inputs import files_to_open
from knee_attention.phantoms.film import phantom_film

FILM = phantom_film((1, 3), 1, height=160).image


def excluded(folder):
    return {row["source"].split("/")[-1]: row["reason"] for row in read_rows(folder)}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("length", [240, 246, 250])
def test_long_names_pipes_and_odd_pixels_among_films(tmp_path, run, length):
    """A file name has at most 255 bytes; a knee's name is two bytes longer than its film's."""
    films = tmp_path / "films"
    write_films(films, 1)
    name = "n" * length
    cv2.imwrite(str(films / f"{name}.png"), FILM)
    os.mkfifo(films / "pipe.png")
    colour = np.dstack([FILM, FILM // 2, FILM])
    for dtype in ("int16", "int32", "float64"):
        cv2.imwrite(str(films / f"{dtype}.tif"), colour.astype(dtype))
    nan = FILM.astype(np.float32)
    nan[0, 0] = np.nan
    cv2.imwrite(str(films / "nan.tif"), nan)
    code, printed = run("split_knees", films, tmp_path / "knees")
    assert code == 0, printed
    too_long = length + len("_R.png") > 255
    assert summary_counts(printed) == (7, 5 - too_long, 2 + too_long)
    reasons = {"pipe.png": "not a regular file", "nan.tif": "it holds NaN or infinity"}
    if too_long:
        reasons[f"{name}.png"] = "the file's name is too long"
    assert excluded(tmp_path / "knees" / "excluded.csv") == reasons
    assert too_long or (tmp_path / "knees" / f"{name}_R.png").exists()


@pytest.mark.timeout(60)
def test_odd_pixels_among_knees(tmp_path, run):
    knees, rng = tmp_path / "knees", np.random.default_rng(0)
    lines = ["id,subject,side,kl"]
    for index in range(12):
        name = f"S{index:02d}" if index else "S" + "0" * 246
        write_image(knees / f"{name}_R.png", rng.integers(0, 256, (40, 28)).astype(np.uint8))
        lines.append(f"{name},P{index},R,{index % 3}")
    knee = rng.integers(0, 256, (40, 28, 3))
    for name, values in (("int32", knee.astype(np.int32)), ("nan", np.full((40, 28), np.nan))):
        cv2.imwrite(str(knees / f"{name}_L.tif"), values)
        lines.append(f"{name},{name},L,1")
    os.mkfifo(knees / "pipe_L.png")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    arguments = (knees, tmp_path / "labels.csv", tmp_path / "set", "--h5", tmp_path / "set.h5")
    code, printed = run("make_dataset", *arguments)
    assert code == 0, printed
    assert summary_counts(printed) == (15, 13, 2)
    reasons = excluded(tmp_path / "set" / "excluded.csv")
    assert reasons["pipe_L.png"] == "not a regular file"
    assert reasons["nan_L.tif"] == "it holds NaN or infinity"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("contents", ["Folder,ParticipantID\n", "", "pipe"])
def test_odd_files_in_a_tree(tmp_path, run, contents):
    pytest.importorskip("pydicom")
    from dicom_files import write_dicom

    stored = np.random.default_rng(0).integers(0, 4096, (40, 56)).astype(np.uint16)
    tree = tmp_path / "tree"
    write_dicom(tree / "good", stored, PatientID="P1")
    bad = write_dicom(tree / "comma", stored, PatientID="P2", PixelSpacing=[0.123, 0.4567])
    bad.write_bytes(bad.read_bytes().replace(b"0.123\\0.4567", b"0,15\\0,15   "))
    write_dicom(tree / "frames", stored, PatientID="P3", NumberOfFrames=2)
    write_dicom(tree / "long", stored, PatientID="P" * 64, StudyDate=None)
    os.mkfifo(tree / "pipe")
    if contents == "pipe":
        os.mkfifo(tree / "contents.csv")
    else:
        (tree / "contents.csv").write_text(contents)
    for _ in range(2):
        code, printed = run("dicom_to_png", tree, tmp_path / "films")
        assert code == 0, printed
        assert summary_counts(printed) == (6, 3, 3)
        reasons = excluded(tmp_path / "films" / "excluded.csv")
        assert reasons.keys() == {"pipe", "frames", "contents.csv"}
        assert reasons["pipe"] == "not a regular file"
        assert "without pixel spacing: 3" in printed


@pytest.fixture
def tree(tmp_path):
    for name in ("tree/00m/a.png", "disk/12m/b.png", "disk/12m/.hidden", "tree/.thumbs/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"words")
    (tmp_path / "tree" / "12m").symlink_to(tmp_path / "disk" / "12m")
    return tmp_path / "tree"


def names(files, tree):
    return [path.relative_to(tree).as_posix() for path in files]


@pytest.mark.parametrize("list_files", [
    lambda tree: visible_files(tree, tree.with_name("out")), lambda tree: files_to_open([tree])
])  # fmt: skip
def test_a_linked_folder_is_followed_once(tree, list_files):
    expected = ["00m/a.png", "12m/b.png"]
    assert names(list_files(tree), tree) == expected
    (tree / "00m" / "up").symlink_to(tree)
    (tree / "00m" / "self").symlink_to(".")
    (tree / "00m" / "above").symlink_to(tree.parent)
    (tree.parent / "disk" / "12m" / "back").symlink_to(tree)
    (tree / "0_same").symlink_to(tree / "00m")
    (tree / "nowhere").symlink_to(tree / "missing")
    assert names(list_files(tree), tree)[:2] == expected
    assert set(names(list_files(tree), tree)) - {"nowhere"} == set(expected)


def test_the_output_is_no_input_even_behind_a_link(tree):
    out = tree.with_name("out")
    out.mkdir()
    (out / "made.png").write_bytes(b"words")
    (tree / "made").symlink_to(out)
    assert names(visible_files(tree, out), tree) == ["00m/a.png", "12m/b.png"]


def test_a_folder_without_files_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no files"):
        visible_files(tmp_path, tmp_path / "out")


def rename(folder, names):
    """Rewrite the files in other formats, one per suffix."""
    for old, new in names.items():
        image = cv2.imread(str(folder / old), cv2.IMREAD_UNCHANGED)
        kind = ".bmp" if new.endswith(".dib") else ".jpg"
        (folder / new).write_bytes(cv2.imencode(kind, image)[1].tobytes())
        (folder / old).unlink()


def test_films_and_knees_are_read_by_every_name_of_their_format(tmp_path, run):
    pytest.importorskip("pydicom")
    from dicom_files import write_dicom

    write_films(tmp_path / "films", 12)
    rename(tmp_path / "films", {"S000.png": "S000.jfif", "S001.png": "S001.jpe"})
    (tmp_path / "films" / "S012.gif").write_bytes(b"GIF89a")
    write_dicom(tmp_path / "films" / "S013", FILM.astype(np.uint16))
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
