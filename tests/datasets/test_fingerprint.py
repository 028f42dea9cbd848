"""Data sets are compared by content; a knee keeps its person and split."""

import os
import shutil

import cv2
import h5py
import numpy as np
import pytest

from knee_attention.data_prep.hdf5_sets import write_hdf5
from knee_attention.data_prep.verification import verify
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.fingerprint import (
    dataset_records,
    difference,
    file_records,
    read_records,
    write_records,
)
from knee_attention.datasets.layout import SPLITS, graded_files
from knee_attention.datasets.persons import Manifest
from knee_attention.errors import InputError


def move(root, source, target):
    (root / target).parent.mkdir(parents=True, exist_ok=True)
    (root / source).rename(root / target)


def repaint(root):
    """Change a file's content, but neither its size nor its modification time."""
    path = root / "train/1/train10R.bmp"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(root):
    """Swap the names of two files with the same size and modification time."""
    first, second = root / "train/1/train10R.bmp", root / "train/1/train10L.bmp"
    os.utime(first, ns=(1, 1))
    os.utime(second, ns=(1, 1))
    move(root, first, root / "kept")
    move(root, second, first)
    move(root, root / "kept", second)


@pytest.fixture
def bitmaps(knee_folder):
    """The data folder with bitmaps, which all have the same file size."""
    for path in knee_folder.rglob("*.png"):
        cv2.imwrite(str(path.with_suffix(".bmp")), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        path.unlink()
    return knee_folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (repaint, "1 of 40 images with other content (the first train10R.bmp)"),
        (exchange, "2 of 40 images with other content (the first train10L.bmp)"),
        (lambda root: move(root, "train/1/train10R.bmp", "train/2/train10R.bmp"),
         "1 of 40 images with another label (the first train10R.bmp)"),
        (lambda root: move(root, "train/1/train10R.bmp", "test/1/train10R.bmp"),
         "1 of 40 images in another split (the first train10R.bmp)"),
        (lambda root: (root / "train/1/train10R.bmp").unlink(),
         "1 of 40 images missing (the first train10R.bmp)"),
        (lambda root: (root / "train/1/train10R.bmp").write_bytes(b""),
         "1 of 40 images with other content (the first train10R.bmp)"),
        (lambda root: shutil.copy(root / "train/1/train10R.bmp", root / "train/1/more_R.bmp"),
         "1 new images (the first more_R.bmp)"),
        (lambda root: shutil.copy(root / "train/1/train10R.bmp", root / "test/1/train10R.bmp"),
         "1 of 40 images in another split (the first train10R.bmp)"),
        (lambda root: move(root, "validation", "val"), ""),
        (lambda root: (root / "train/1/notes.txt").write_text("no image"), ""),
        (lambda root: os.utime(root / "train/1/train10R.bmp"), ""),
    ],
)  # fmt: skip
def test_a_change_of_a_folder_is_told(bitmaps, change, said):
    before = dataset_records(bitmaps)
    assert dataset_records(bitmaps) == before and len(before) == 40
    change(bitmaps)
    assert difference(before, dataset_records(bitmaps)) == said


def test_a_copy_at_another_place_is_the_same_data(knee_folder, tmp_path):
    copy = shutil.copytree(knee_folder, tmp_path / "elsewhere" / "other_name")
    assert difference(dataset_records(knee_folder), dataset_records(copy)) == ""


def test_other_data_have_nothing_in_common(knee_folder):
    before = dataset_records(knee_folder)
    others = [record._replace(file=f"other{record.file}") for record in before]
    assert difference(before, others) == "no image in common"


def test_a_limit_records_what_is_read_of_it(knee_folder):
    limited = dataset_records(knee_folder, limit=5)
    assert len(limited) == 15 and set(limited) < set(dataset_records(knee_folder))
    assert set(limited) != set(dataset_records(knee_folder, limit=5, seed=1))


@pytest.fixture
def stored(tmp_path):
    """An HDF5 file with six knees, two per split."""
    rows = []
    for number, split in enumerate(("train", "validation", "test") * 2):
        name = f"{number}_R.png"
        image = np.full((40, 40), number, np.uint8)
        cv2.imwrite(str(tmp_path / name), image)
        rows.append({"file": name, "id": str(number), "side": "R", "subject": str(number), "kl": 1,
                     "split": split, "height": 40, "width": 40, "pixels": str(number)})
    write_hdf5(tmp_path / "knees.h5", rows, tmp_path)
    return tmp_path / "knees.h5"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("grades", 3, "1 of 6 images with another label (the first 0_R)"),
        ("splits", "test", "1 of 6 images in another split (the first 0_R)"),
        ("images", 200, "1 of 6 images with other content (the first 0_R)"),
        ("subjects", "somebody else", ""),
    ],
)
def test_a_change_of_an_hdf5_file_is_told(stored, column, value, said):
    before = dataset_records(stored)
    with h5py.File(stored, "a") as file:
        file[column][0] = value
    assert difference(before, dataset_records(stored)) == said


def test_an_hdf5_file_that_was_packed_anew_is_the_same_data(stored):
    before = dataset_records(stored)
    with h5py.File(stored, "a") as file:
        images = file["images"][:]
        del file["images"]
        file.create_dataset("images", data=images, chunks=(2, 40, 40), compression="gzip")
    assert difference(before, dataset_records(stored)) == ""


def test_records_are_read_as_they_were_written(tmp_path):
    odd = os.fsdecode(b'odd \xff,"name".png')
    (tmp_path / odd).write_bytes(b"content")
    os.mkfifo(tmp_path / "pipe.png")
    records = file_records([
        ("train", odd, "R 1 2 3 4", tmp_path / odd),
        ("test", "gone.png", "0", tmp_path / "gone.png"),
        ("test", "pipe.png", "0", tmp_path / "pipe.png"),
    ])  # fmt: skip
    assert [bool(record.digest) for record in records] == [True, False, False]
    write_records(tmp_path / "data.csv", records)
    assert read_records(tmp_path / "data.csv") == records


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "split,file,label,digest\ntrain,x\n"])
def test_a_damaged_table_is_told(tmp_path, content):
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(InputError, match="data.csv: the file is damaged"):
        read_records(tmp_path / "data.csv")


SIZE = (96, 96)


@pytest.fixture
def listed(knee_folder):
    """A data set with two films of each person, with different ids: `P0` to `P9` in each split."""
    rows = ["file,subject,split,kl"]
    for split in SPLITS:
        files = graded_files(knee_folder, split)
        rows += [f"{file.name},{split} P{place // 4},{split},{file.grade}"
                 for place, file in enumerate(files)]  # fmt: skip
    (knee_folder / "manifest.csv").write_text("\n".join(rows))
    return knee_folder


def subjects(folder):
    """The person of each knee by the file's name without folder and suffix."""
    splits = load_dataset(folder, SIZE).splits.values()
    return {
        file.split("/")[-1].split(".")[0]: subject
        for knees in splits
        for file, subject in zip(knees.files, knees.subjects, strict=True)
    }


def test_validation_may_be_called_val(listed):
    before = subjects(listed)
    assert set(before.values()) >= {"train P0", "validation P0", "test P0"}
    (listed / "validation").rename(listed / "val")
    assert subjects(listed) == before
    assert load_dataset(listed, SIZE).manifest_remark == ""
    assert verify(listed)[1] == []


def test_a_manifest_may_call_it_val_too(listed):
    before = subjects(listed)
    manifest = listed / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("\nvalidation/", "\nval/"))
    assert subjects(listed) == before and verify(listed)[1] == []


@pytest.mark.parametrize(
    "target", ["train/3/train00R.png", "test/0/train00R.png", "train/0/train00R.bmp"]
)
def test_a_file_that_was_moved_is_matched_by_name_and_said(listed, target):
    before = subjects(listed)
    if target.endswith("bmp"):
        cv2.imwrite(str(listed / target), cv2.imread(str(listed / "train/0/train00R.png")))
        (listed / "train/0/train00R.png").unlink()
    else:
        (listed / "train/0/train00R.png").rename(listed / target)
    assert subjects(listed) == before
    assert load_dataset(listed, SIZE).manifest_remark == (
        f"1 of 40 images have no row in manifest.csv (the first: {target}); 1 are matched to a "
        "row with the same id and side, the other 0 belong to the person whose id is in "
        "their name"
    )
    faults = verify(listed)[1]
    assert f"{target} is not in manifest.csv" in faults
    assert "train/0/train00R.png is in manifest.csv, but the file is missing" in faults


def test_a_file_of_an_unknown_name_is_its_own_person_and_counted(listed):
    (listed / "train/0/train00R.png").rename(listed / "train/0/stranger_R.png")
    assert subjects(listed)["stranger_R"] == "stranger"
    remark = load_dataset(listed, SIZE).manifest_remark
    assert "0 are matched" in remark and "the other 1 belong" in remark


def test_rows_of_one_name_that_contradict_each_other_tell_nothing():
    rows = {f"{split}/0/a_R.png": {"subject": split} for split in ("train", "test")}
    manifest = Manifest(rows)
    assert manifest.subject_of("test/0/a_R.png") == "test"
    assert manifest.subject_of("test/1/a_R.png") == "a"
    assert Manifest({}).remark(["test/0/a_R.png"]) == ""
