import os
import shutil

import cv2
import numpy as np
import pytest

from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.knees import Knees, stratified_subset
from knee_attention.errors import InputError
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.dataset import phantom_dataset

SIZE = (96, 96)


def test_a_folder_becomes_prepared_knees_with_grades_and_subjects(knee_folder):
    dataset = load_dataset(knee_folder, SIZE)
    train = dataset.splits["train"]
    assert train.images.shape == (20, *SIZE) and train.images.dtype == np.uint8
    assert train.grade_counts() == [4] * 5
    assert train.files[0] == "train/0/train00L.png"
    assert len(set(train.subjects)) == 10
    original = cv2.imread(str(knee_folder / train.files[7]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(train.images[7], prepare_knee(original, SIZE))


def test_every_split_has_the_grades_of_its_own_folders(knee_folder):
    for split, knees in load_dataset(knee_folder, SIZE).splits.items():
        assert knees.files[-1].startswith(f"{split}/4/")
        assert [int(file.split("/")[1]) for file in knees.files] == knees.grades.tolist()


def test_val_is_validation_and_test_may_be_missing(knee_folder):
    (knee_folder / "validation").rename(knee_folder / "val")
    shutil.rmtree(knee_folder / "test")
    dataset = load_dataset(knee_folder, SIZE)
    assert list(dataset.splits) == ["train", "validation"]
    assert len(dataset.splits["validation"]) == 10


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
@pytest.mark.parametrize("kind", ["grey", "colour", "16 bit"])
def test_formats_depths_and_colours(knee_folder, suffix, kind):
    if kind == "16 bit" and suffix in ("jpg", "webp"):
        pytest.skip("the format has 8 bits")
    path = knee_folder / "train" / "0" / f"extra_R.{suffix}"
    image = cv2.imread(str(knee_folder / "train/3/train30R.png"), cv2.IMREAD_UNCHANGED)
    expected = prepare_knee(image, SIZE)
    image = {"grey": image, "colour": np.dstack([image] * 3), "16 bit": image.astype("u2") * 200}
    cv2.imwrite(str(path), image[kind])
    train = load_dataset(knee_folder, SIZE).splits["train"]
    found = train.images[train.files.index(f"train/0/extra_R.{suffix}")]
    tolerance = 0 if suffix == "tif" else 40
    assert np.abs(found.astype(int) - expected).mean() <= tolerance


def test_a_bad_image_is_left_out_and_named(knee_folder):
    path = knee_folder / "train" / "2" / "train20R.png"
    path.write_bytes(path.read_bytes()[:200])
    dataset = load_dataset(knee_folder, SIZE)
    assert len(dataset.splits["train"]) == len(dataset.splits["train"].images) == 19
    assert [error.path for error in dataset.unreadable] == [str(path)]
    assert "truncated" in dataset.unreadable[0].reason
    assert "train/2/train20R.png" not in dataset.splits["train"].files


@pytest.mark.parametrize("limit", [None, 7])
@pytest.mark.parametrize("bad", [(), ("train00L",), ("train20R", "train41L")])
def test_every_knee_keeps_its_own_grade_and_image(knee_folder, limit, bad):
    for path in knee_folder.glob("train/*/*"):
        if path.stem in bad:
            path.write_bytes(b"no image")
    train = load_dataset(knee_folder, SIZE, limit=limit).splits["train"]
    if limit is None:
        assert len(train) == 20 - len(bad)
    for image, grade, file, subject in zip(
        train.images, train.grades, train.files, train.subjects, strict=True
    ):
        split, folder, name = file.split("/")
        assert grade == int(folder) == int(name[5]) and subject == name[:7]
        original = cv2.imread(str(knee_folder / file), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(image, prepare_knee(original, SIZE))


def test_a_pipe_is_no_image_and_nothing_waits_for_it(knee_folder):
    os.mkfifo(knee_folder / "train" / "0" / "pipe.png")
    unreadable = load_dataset(knee_folder, SIZE).unreadable
    assert [error.reason for error in unreadable] == ["not a regular file"]


def test_subjects_come_from_a_manifest_where_there_is_one(knee_folder):
    (knee_folder / "manifest.csv").write_text("file,subject\ntrain/0/train00L.png,somebody\n")
    assert load_dataset(knee_folder, SIZE).splits["train"].subjects[0] == "somebody"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root), "no such folder"),
        (lambda root: shutil.rmtree(root / "train"), "no folder named 'train'"),
        (lambda root: shutil.rmtree(root / "validation"), "no folder named 'validation'"),
        (lambda root: (root / "train" / "9").mkdir(), "named 0, 1, 2, 3 or 4"),
        (lambda root: (root / "train" / "0" / "more").mkdir(), "more: a grade folder must"),
        (lambda root: (root / "manifest.csv").write_text("file,subject\n" + "x" * 150_000),
         "manifest.csv: not a table"),
        (lambda root: _empty(root / "validation"), "no images"),
        (lambda root: _spoil(root / "validation"), "none of its 10 images can be read"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(knee_folder, change, message):
    change(knee_folder)
    with pytest.raises(InputError, match=message):
        load_dataset(knee_folder, SIZE)


def _empty(folder):
    for path in folder.rglob("*.png"):
        path.unlink()


def _spoil(folder):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")


def test_a_limit_keeps_every_grade_in_its_share():
    grades = np.repeat(np.arange(5), [400, 200, 250, 110, 40])
    kept = stratified_subset(grades, 100, seed=3)
    assert np.bincount(grades[kept]).tolist() == [40, 20, 25, 11, 4]
    assert len(set(kept)) == 100
    np.testing.assert_array_equal(kept, stratified_subset(grades, 100, seed=3))
    assert not np.array_equal(kept, stratified_subset(grades, 100, seed=4))


@pytest.mark.parametrize("limit", [1, 2, 7, 23, 60])
def test_a_limit_rounds_each_grade_s_share_and_favours_none(limit):
    """The number of knees up to each grade is its share of the limit, rounded: a limit of 1 keeps a
    knee of the median grade, not always of the first."""
    generator = np.random.default_rng(limit)
    for _ in range(20):
        grades = generator.choice(5, size=61, p=generator.dirichlet(np.ones(5)))
        kept = stratified_subset(grades, limit, seed=0)
        assert len(set(kept)) == limit and (np.diff(kept) > 0).all()
        for grade in range(5):
            share = limit * (grades <= grade).mean()
            assert abs((grades[kept] <= grade).sum() - share) <= 0.5 + 1e-9


def test_a_part_of_the_knees_keeps_what_belongs_to_each():
    generator = np.random.default_rng(0)
    knees = Knees(
        generator.integers(0, 256, (4, 3, 2)), np.array([0, 3, 1, 3]), list("abcd"), list("wxyz"),
        masks=list(np.eye(4, dtype=bool)), inverted=["a", "d"],
    )  # fmt: skip
    part = knees.take(np.array([3, 1]))
    np.testing.assert_array_equal(part.images, knees.images[[3, 1]])
    assert (part.files, part.subjects, part.inverted) == (["d", "b"], ["z", "x"], ["d"])
    np.testing.assert_array_equal(part.masks, np.eye(4, dtype=bool)[[3, 1]])
    assert part.grades.tolist() == [3, 3] and part.grade_counts() == [0, 0, 0, 2, 0]


def test_phantoms_are_graded_evenly_repeatable_and_carry_joint_masks():
    dataset = phantom_dataset(SIZE, limit=10, seed=5)
    train = dataset.splits["train"]
    assert dataset.synthetic
    assert train.grade_counts() == [2] * 5
    assert train.masks.shape == train.images.shape and train.masks.dtype == bool
    shares = train.masks.mean(axis=(1, 2))
    assert 0.005 < shares.min() and shares.max() < 0.25
    again = phantom_dataset(SIZE, limit=10, seed=5).splits["train"]
    np.testing.assert_array_equal(train.images, again.images)
    other = phantom_dataset(SIZE, limit=10, seed=6).splits["train"]
    assert not np.array_equal(train.images, other.images)
    assert not np.array_equal(train.images, dataset.splits["test"].images)
    assert not set(train.subjects) & set(dataset.splits["test"].subjects)
