"""Data sets are compared by content, not by path or modification time."""

import os
import shutil

import cv2
import h5py
import numpy as np
import pytest

from knee_attention.data_prep.hdf5_sets import write_hdf5
from knee_attention.datasets.fingerprint import (
    dataset_records,
    difference,
    file_records,
    read_records,
    write_records,
)
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
                     "split": split, "height": 40, "width": 40, "pixels": str(number), "bits": 8})
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
