"""The folder layout of data sets, and expert masks beside their knees."""

import shutil

import cv2
import numpy as np
import pytest

from knee_attention.data_prep.training_sets import write_knees
from knee_attention.data_prep.verification import verify
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.knees import joint_masks
from knee_attention.datasets.layout import SPLITS, graded_files, read_manifest
from knee_attention.errors import InputError

SIZE = (96, 96)


def seen_by_loader(folder):
    return {file for knees in load_dataset(folder, SIZE).splits.values() for file in knees.files}


@pytest.mark.parametrize("name", ["validation", "val"])
def test_loader_and_verifier_see_the_same_files(knee_folder, name):
    (knee_folder / "validation").rename(knee_folder / name)
    (knee_folder / "train" / "0" / ".hidden.png").write_bytes(b"")
    (knee_folder / "train" / "0" / "notes.txt").write_text("words")
    (knee_folder / "elsewhere").mkdir()
    rows, faults = verify(knee_folder)
    assert not faults
    assert {row["file"] for row in rows} == seen_by_loader(knee_folder)
    listed = {file.name for split in SPLITS for file in graded_files(knee_folder, split)}
    assert listed == seen_by_loader(knee_folder) and len(listed) == 40


def test_a_person_in_train_and_val_is_a_fault(knee_folder):
    (knee_folder / "validation").rename(knee_folder / "val")
    shutil.copyfile(knee_folder / "train/0/train00R.png", knee_folder / "val/0/train00L.png")
    _, faults = verify(knee_folder)
    assert "subject train00 is in train and validation" in faults


def test_what_the_loader_refuses_the_verifier_tells(knee_folder):
    """A split with two folders, and a split without a folder."""
    shutil.copytree(knee_folder / "validation", knee_folder / "val")
    with pytest.raises(InputError, match="validation and val are the same split") as said:
        load_dataset(knee_folder, SIZE)
    assert str(said.value) in verify(knee_folder)[1]
    shutil.rmtree(knee_folder / "val")
    shutil.rmtree(knee_folder / "train")
    with pytest.raises(InputError, match="no folder named 'train', only validation, test;") as said:
        load_dataset(knee_folder, SIZE)
    assert verify(knee_folder)[1] == [str(said.value)]


@pytest.mark.parametrize("folder", ["train/9", "test/0/more"])
def test_no_set_is_placed_where_the_loader_would_refuse_it(knee_folder, folder):
    (knee_folder / folder).mkdir()
    for read in (lambda: load_dataset(knee_folder, SIZE),
                 lambda: write_knees(knee_folder, [], knee_folder, copy=False)):  # fmt: skip
        with pytest.raises(InputError, match="grade folder"):
            read()
    assert any("grade folder" in fault for fault in verify(knee_folder)[1])


def test_a_manifest_names_the_same_person_to_loader_and_verifier(knee_folder):
    manifest = knee_folder / "manifest.csv"
    names = [file.name for split in SPLITS for file in graded_files(knee_folder, split)]
    rows = [f"{name},{'P1' if '0/' in name else ''}" for name in names]
    # Spreadsheets save CSV with a UTF-8 byte order mark.
    manifest.write_text("\n".join(["file,subject", *rows]), encoding="utf-8-sig")
    assert list(read_manifest(knee_folder)) == names
    rows, faults = verify(knee_folder)
    splits = load_dataset(knee_folder, SIZE).splits.values()
    loaded = {
        file: subject
        for knees in splits
        for file, subject in zip(knees.files, knees.subjects, strict=True)
    }
    assert loaded == {row["file"]: row["subject"] for row in rows}
    assert loaded["train/0/train00L.png"] == "P1" and loaded["train/1/train10L.png"] == "train10"
    assert faults == ["subject P1 is in test and train and validation"]


def test_a_manifest_of_something_else_is_refused(knee_folder):
    (knee_folder / "manifest.csv").write_text("image;label\na.png;1\n")
    for read in (lambda: load_dataset(knee_folder, SIZE), lambda: verify(knee_folder)):
        with pytest.raises(InputError, match="expected the columns file and subject. Received"):
            read()


def test_images_by_other_names_of_their_format_are_read(knee_folder):
    for number, suffix in enumerate((".jpe", ".jfif", ".dib", ".JPE")):
        knee = cv2.imread(str(knee_folder / f"train/{number}/train{number}0R.png")) // 2
        content = cv2.imencode(".bmp" if suffix == ".dib" else ".jpg", knee)[1].tobytes()
        (knee_folder / f"train/{number}/more{number}_R{suffix}").write_bytes(content)
    assert len(load_dataset(knee_folder, SIZE).splits["train"]) == 24
    assert not verify(knee_folder)[1] and len(verify(knee_folder)[0]) == 44


@pytest.fixture
def unread(knee_folder):
    """Images that are not read: the path in the data set and the reason."""
    content = (knee_folder / "train/0/train00R.png").read_bytes()
    (knee_folder / "train/0/named_R.png.1").write_bytes(content)
    (knee_folder / "train/1/other_R.gif").write_bytes(b"GIF89a")
    (knee_folder / "test/1/film_R.dcm").write_bytes(bytes(128) + b"DICM")
    (knee_folder / "test/lost_R.png").write_bytes(content)
    return {
        "train/0/named_R.png.1": "a PNG image whose suffix is missing or wrong; rename it",
        "train/1/other_R.gif": "a GIF image; this format is not supported",
        "test/1/film_R.dcm": "a DICOM file; convert it with data_prep/dicom_to_png.py",
        "test/lost_R.png": "an image outside the grade folders 0 to 4; its grade is "
                           "unknown",
    }  # fmt: skip


def test_images_that_are_not_read_are_named_by_loader_and_verifier(knee_folder, unread):
    dataset = load_dataset(knee_folder, SIZE)
    assert sum(len(knees) for knees in dataset.splits.values()) == 40
    said = {error.path: error.reason for error in dataset.unreadable}
    assert said == {str(knee_folder / name): reason for name, reason in unread.items()}
    rows, faults = verify(knee_folder)
    assert len(rows) == 40 and faults == [f"{name}: {why}" for name, why in unread.items()]


def test_a_split_of_images_that_are_not_read_names_the_first(knee_folder):
    for path in knee_folder.glob("validation/*/*"):
        path.rename(path.with_suffix(".gif"))
    said = "10 files cannot be read .the first: .*validation00L.gif"
    with pytest.raises(InputError, match=said):
        load_dataset(knee_folder, SIZE)


SHAPE = (40, 30)
FILES = ["train/0/1R.png", "train/1/1L.png", "train/2/2R.png"]


def write(path, rows=slice(15, 20), joint=255, background=0):
    mask = np.full(SHAPE, background, np.uint8)
    mask[rows] = joint
    cv2.imwrite(str(path), mask)
    return mask


def read(folder):
    return joint_masks(folder, FILES, lambda place: SHAPE)


@pytest.mark.parametrize(("joint", "background"), [(255, 0), (255, 127), (128, 127), (128, 1)])
def test_joint_is_what_lies_above_127(tmp_path, joint, background):
    """In a mask stored as JPEG the background is not exactly black."""
    mask = write(tmp_path / "1_R.png", joint=joint, background=background)
    [found] = read(tmp_path).joints
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask == joint)


def test_masks_come_in_the_order_of_their_knees(tmp_path):
    rows = {"2R": slice(0, 4), "1L": slice(8, 12), "1R": slice(20, 24)}
    masks = {name: write(tmp_path / f"{name}.png", place) > 127 for name, place in rows.items()}
    known = read(tmp_path)
    assert known.positions.tolist() == [0, 1, 2] and not known.left_out
    np.testing.assert_array_equal(known.joints, [masks["1R"], masks["1L"], masks["2R"]])


@pytest.mark.parametrize(
    ("joint", "background"), [(0, 0), (127, 127), (255, 255), (255, 128)]
)
def test_a_mask_of_nothing_or_of_everything_is_left_out(tmp_path, joint, background):
    write(tmp_path / "1R.png", joint=joint, background=background)
    with pytest.raises(InputError, match="marks no pixel or every pixel as joint"):
        read(tmp_path)
    write(tmp_path / "1L.png")
    known = read(tmp_path)
    assert known.positions.tolist() == [1]
    assert [error.path for error in known.left_out] == [str(tmp_path / "1R.png")]


def test_masks_of_no_knee_are_counted_in_one_sentence(tmp_path):
    for name in ("1R.png", "8R.png", "9R.png", "9L.png"):
        write(tmp_path / name)
    [error] = read(tmp_path).left_out
    assert error.path == str(tmp_path / "8R.png")
    assert error.reason == "no measured knee has the name of this mask or of 2 more"


def test_a_mask_that_is_not_read_is_left_out_by_name(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20] = 255
    (tmp_path / "a_R.dib").write_bytes(cv2.imencode(".bmp", mask)[1].tobytes())
    (tmp_path / "b_R.gif").write_bytes(b"GIF89a")
    (tmp_path / "notes.txt").write_text("words")
    found = joint_masks(tmp_path, ["train/0/a_R.png", "train/0/b_R.png"], lambda place: (40, 40))
    assert found.positions.tolist() == [0] and found.joints[0].sum() == 400
    assert [str(error) for error in found.left_out] == [
        f"{tmp_path / 'b_R.gif'}: a GIF image; this format is not supported"
    ]
