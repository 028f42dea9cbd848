"""Loading, making and verifying a data set use the same folder layout."""

import shutil

import cv2
import pytest

from knee_attention.data_prep.training_sets import place
from knee_attention.data_prep.verification import verify
from knee_attention.datasets.dataset import load_dataset
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
                 lambda: place(knee_folder, [], knee_folder, copy=False)):  # fmt: skip
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
