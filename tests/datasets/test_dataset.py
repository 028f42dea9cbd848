import os
import shutil

import cv2
import h5py
import numpy as np
import pytest

from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.hdf5 import FORMAT
from knee_attention.datasets.knees import stratified_subset
from knee_attention.errors import InputError
from knee_attention.films.legs import split_knees
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.phantoms.film import phantom_film
from knee_attention.preparation.verification import verify

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
    assert [error.reason for error in unreadable] == ["no regular file"]


def test_subjects_come_from_a_manifest_where_there_is_one(knee_folder):
    (knee_folder / "manifest.csv").write_text("file,subject\ntrain/0/train00L.png,somebody\n")
    assert load_dataset(knee_folder, SIZE).splits["train"].subjects[0] == "somebody"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root), "no such folder"),
        (lambda root: shutil.rmtree(root / "train"), "no folder 'train'"),
        (lambda root: shutil.rmtree(root / "validation"), "no folder 'validation'"),
        (lambda root: (root / "train" / "9").mkdir(), "named 0, 1, 2, 3 or 4"),
        (lambda root: (root / "train" / "0" / "more").mkdir(), "more: a folder in a grade folder"),
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


def write_hdf5(path, folder_dataset, root):
    """The same knees as one HDF5 file."""
    images, grades, ids, sides, subjects, splits = [], [], [], [], [], []
    for split, knees in folder_dataset.splits.items():
        for file, grade, subject in zip(knees.files, knees.grades, knees.subjects, strict=True):
            images.append(cv2.imread(str(root / file), cv2.IMREAD_UNCHANGED))
            grades.append(grade)
            stem = file.rsplit("/", 1)[1].removesuffix(".png")
            ids.append(stem[:-1])
            sides.append(stem[-1])
            subjects.append(subject)
            splits.append(split)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.create_dataset("images", data=np.stack(images), chunks=(1, *SIZE))
        file["grades"] = np.array(grades, np.int8)
        for name, values in (("ids", ids), ("sides", sides), ("subjects", subjects),
                             ("splits", splits)):
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())


@pytest.mark.parametrize("limit", [None, 9])
def test_hdf5_gives_the_same_knees_as_the_folder(knee_folder, tmp_path, limit):
    write_hdf5(tmp_path / "knees.h5", load_dataset(knee_folder, SIZE), knee_folder)
    folder = load_dataset(knee_folder, SIZE, limit)
    stored = load_dataset(tmp_path / "knees.h5", SIZE, limit)
    for split, knees in folder.splits.items():
        ours = stored.splits[split]
        positions = np.array([3, 0, 7])
        np.testing.assert_array_equal(ours.images[positions], knees.images[positions])
        np.testing.assert_array_equal(ours.grades, knees.grades)
        assert ours.subjects == knees.subjects
        assert ours.images.shape == knees.images.shape


def test_negatives_in_an_hdf5_file_are_turned(tmp_path):
    film = phantom_film((1, 3), 5, 256).image
    right = prepare_knee(split_knees(film, "auto")["R"], SIZE)
    for split in ("train", "validation"):
        (tmp_path / split / "1").mkdir(parents=True)
        for name, knee in (("1R", right), ("2R", ~right), ("3R", right)):
            cv2.imwrite(str(tmp_path / split / "1" / f"{split}{name}.png"), knee)
    write_hdf5(tmp_path / "knees.h5", load_dataset(tmp_path, SIZE), tmp_path)
    knees = load_dataset(tmp_path / "knees.h5", SIZE).splits["train"]
    assert knees.turned == ["train2_R"]
    for image in knees.images[np.arange(3)]:
        np.testing.assert_array_equal(image, prepare_knee(right, SIZE))
    as_is = load_dataset(tmp_path / "knees.h5", SIZE, polarity="as-is").splits["train"]
    np.testing.assert_array_equal(as_is.images[np.array([1])][0], prepare_knee(~right, SIZE))


def test_files_that_are_no_data_set_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no hdf5")
    with pytest.raises(InputError, match="not an HDF5 file"):
        load_dataset(tmp_path / "text.h5", SIZE)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = [1.0]
    for read in (lambda path: load_dataset(path, SIZE), verify):
        with pytest.raises(InputError, match="its attribute format is not 'knee_attention"):
            read(tmp_path / "other.h5")
    (tmp_path / "knees.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="expected a data folder or an .h5 file"):
        load_dataset(tmp_path / "knees.zip", SIZE)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("subjects", None, "lacks subjects"),
        ("grades", np.full(40, 5, np.int8), "grades other than 0 to 4"),
        ("grades", np.zeros(39, np.int8), "several lengths"),
        ("splits", ["val"] * 40, "splits other than train, validation, test"),
        ("ids", np.zeros(40), "not an HDF5 file, or a damaged one"),
    ],
)
def test_loader_and_verifier_refuse_the_same_columns(
    knee_folder, tmp_path, column, values, message
):
    path = tmp_path / "knees.h5"
    write_hdf5(path, load_dataset(knee_folder, SIZE), knee_folder)
    with h5py.File(path, "a") as file:
        del file[column]
        if values is not None:
            file[column] = values
    for read in (lambda: load_dataset(path, SIZE), lambda: verify(path)):
        with pytest.raises(InputError, match=message):
            read()


def test_a_damaged_image_in_an_hdf5_file_is_named(knee_folder, tmp_path):
    path = tmp_path / "knees.h5"
    write_hdf5(path, load_dataset(knee_folder, SIZE), knee_folder)
    with h5py.File(path, "a") as file:
        images = file["images"][:]
        del file["images"]
        file.create_dataset("images", data=images, chunks=(1, *SIZE), compression="gzip")
        place, length = (getattr(file["images"].id.get_chunk_info(0), name)
                         for name in ("byte_offset", "size"))  # fmt: skip
    content = bytearray(path.read_bytes())
    content[place : place + length] = bytes(length)
    path.write_bytes(content)
    for read in (lambda: load_dataset(path, SIZE), lambda: verify(path)):
        with pytest.raises(InputError, match="knees.h5: a damaged file, its image 0"):
            read()


def test_what_lies_in_other_files_is_not_read(knee_folder, tmp_path, elsewhere):
    path = tmp_path / "knees.h5"
    write_hdf5(path, load_dataset(knee_folder, SIZE), knee_folder)
    with h5py.File(path, "a") as file:
        elsewhere(file, "images")
    for read in (lambda: load_dataset(path, SIZE), lambda: verify(path)):
        with pytest.raises(InputError, match="images lies in another file"):
            read()


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
