"""A knee keeps its person if its split is renamed, its grade corrected or its format changed."""

import cv2
import pytest

from knee_attention.data_prep.verification import verify
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.layout import SPLITS, graded_files
from knee_attention.datasets.manifest import Manifest

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
